"""Colour words: which of the plain colours another one is a shade of. matplotlib is imported when it is asked.

The distance is CIEDE2000: Sharma, Wu and Dalal 2005, "The CIEDE2000 color-difference formula: implementation notes,
supplementary test data, and mathematical observations" (Color Research & Application 30 (1), 21-30), whose equation
numbers stand beside the lines.

Lightness weighs half (k_L = 2, as in textiles): navy is dark, and yet blue. This and `CLEARLY` were chosen on the names
of the survey that end in one plain colour and name no other ("brick red"): `benchmarks/colour_words.py` counts of how
many of them that colour is the nearest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from math import atan2, cos, degrees, exp, hypot, radians, sin, sqrt

Lab = tuple[float, float, float]
"""L*, a*, b* of CIE 1976, of the white D65."""
PLAIN = ("black", "white", "grey", "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "brown")
"""The basic colour terms of English (Berlin and Kay 1969), and cyan."""
CLEARLY = 1.25
"""How many times as far the second colour has to be as the first."""
FARTHEST = 20.0
"""From here on a colour is near to nothing."""
LIGHTNESS = 2.0
"""k_L."""
_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
"""Of linear sRGB (IEC 61966-2-1)."""
_WHITE = (0.95047, 1.0, 1.08883)


def is_colour(name: str) -> bool:
    """Whether matplotlib names a colour so: `crimson`, `dark red`."""
    return bool(_named(name))


def nearest_colours(name: str, others: Iterable[str] = ()) -> list[tuple[float, str]]:
    """(distance, colour) of the plain colours and `others`, the nearest first; empty for what names no colour.

    The distance is the mean over the tables that have the name: CSS, and the colour survey of xkcd.
    """
    own = _named(name)
    known = dict.fromkeys([*PLAIN, *(other for other in others if is_colour(other))])
    return sorted((_mean([difference(one, _seen(other), LIGHTNESS) for one in own]), other) for other in known if own)


def called_also(name: str, colour: str) -> bool:
    """Whether people call the colour so with its plain name behind: navy is called navy blue."""
    return is_colour(f"{name} {colour}")


def lab(red: float, green: float, blue: float) -> Lab:
    """L*, a*, b* of sRGB parts in 0..1."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    xyz = [sum(share * part for share, part in zip(row, linear, strict=True)) for row in _TO_XYZ]
    x, y, z = (_root(part / white) for part, white in zip(xyz, _WHITE, strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def difference(one: Lab, other: Lab, k_lightness: float = 1.0) -> float:
    """CIEDE2000 of two colours: about 1 can just be seen, 100 lies between black and white."""
    (lightness_1, a_1, b_1), (lightness_2, a_2, b_2) = one, other
    mean_7 = ((hypot(a_1, b_1) + hypot(a_2, b_2)) / 2) ** 7  # (2), (3)
    stretch = 1.5 - 0.5 * sqrt(mean_7 / (mean_7 + 25**7))  # 1 + G, (4)
    chroma_1, chroma_2 = hypot(a_1 * stretch, b_1), hypot(a_2 * stretch, b_2)  # (5), (6)
    hue_1, hue_2 = (degrees(atan2(b, a * stretch)) % 360 for a, b in ((a_1, b_1), (a_2, b_2)))  # (7)
    grey = chroma_1 * chroma_2 == 0
    turn = 0.0 if grey else hue_2 - hue_1  # (10)
    turn -= 360 * (turn > 180) - 360 * (turn < -180)
    d_lightness, d_chroma = lightness_2 - lightness_1, chroma_2 - chroma_1  # (8), (9)
    d_hue = 2 * sqrt(chroma_1 * chroma_2) * sin(radians(turn / 2))  # (11)
    lightness, chroma = (lightness_1 + lightness_2) / 2, (chroma_1 + chroma_2) / 2  # (12), (13)
    hue = hue_1 + hue_2 if grey else (hue_1 + turn / 2) % 360  # (14)
    weight = 1.0  # T, (15)
    for share, times, shift in ((-0.17, 1, -30), (0.24, 2, 0), (0.32, 3, 6), (-0.20, 4, -63)):
        weight += share * cos(radians(times * hue + shift))
    rotation = 30 * exp(-(((hue - 275) / 25) ** 2))  # (16)
    blue = 2 * sqrt(chroma**7 / (chroma**7 + 25**7))  # (17)
    off = (lightness - 50) ** 2
    by_lightness = d_lightness / (k_lightness * (1 + 0.015 * off / sqrt(20 + off)))  # (18)
    by_chroma = d_chroma / (1 + 0.045 * chroma)  # (19)
    by_hue = d_hue / (1 + 0.015 * chroma * weight)  # (20)
    together = -sin(radians(2 * rotation)) * blue * by_chroma * by_hue  # (21)
    return sqrt(by_lightness**2 + by_chroma**2 + by_hue**2 + together)  # (22)


def _root(part: float) -> float:
    return part ** (1 / 3) if part > 216 / 24389 else (24389 / 27 * part + 16) / 116


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _seen(colour: str) -> Lab:
    """What a colour looks like: as most people have it, who were asked by the survey."""
    return _named(colour)[0]


@cache
def _named(name: str) -> tuple[Lab, ...]:
    """What each table says of a name, the survey first."""
    from matplotlib.colors import CSS4_COLORS, XKCD_COLORS, to_rgb

    spelled = (XKCD_COLORS.get(f"xkcd:{name}"), CSS4_COLORS.get(name.replace(" ", "")))
    return tuple(lab(*to_rgb(text)) for text in spelled if text is not None)
