"""The contact sheet of a zoo: the pictures that it keeps, and which of them each concept fires for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from composer.data.files import write_text
from composer.page.predictions import thumbnail
from composer.page.template import filled, resource
from composer.text import percent
from composer.version import __version__
from composer.zoo.checking import Check, Probed

COMMAND = "zoo check"
"""What writes it, as the page itself says near its beginning."""
SIZE = 64
"""Pixels of a picture's side on the page."""
MOST_OTHERS = 12
"""Pictures without a concept that are shown beside it: those that it is surest of."""


@dataclass(frozen=True)
class Probe:
    """A picture of the zoo as one concept sees it."""

    picture: str
    what: str
    """What it shows, in words."""
    text: str
    """Probability of the concept, in percent."""
    fires: bool
    right: bool


@dataclass(frozen=True)
class Section:
    """One concept: what is found of it, its own pictures and others, the surest first."""

    check: Check
    own: Sequence[Probe]
    others: Sequence[Probe]


def write_sheet(path: Path, found: Probed, zoo: Path) -> None:
    """Writes the page, the doubtful concepts first."""
    pictures, shows = _pictures(found), _shows(found)
    sections = [_section(check, found, pictures, shows) for check in found.checks()]
    sections.sort(key=lambda section: not section.check.doubts)
    content = {
        "command": COMMAND,
        "version": __version__,
        "zoo": zoo,
        "sections": sections,
        "doubtful": sum(bool(section.check.doubts) for section in sections),
        "style": resource("page.css"),
    }
    write_text(path, filled("probes.html.jinja", content))


def _pictures(found: Probed) -> list[str]:
    """All pictures as data URIs, in the order of what is said of them."""
    return [
        thumbnail(Image.fromarray(picture))
        for images in found.images.values()
        for picture in images.at(SIZE).permute(0, 2, 3, 1).numpy()
    ]


def _shows(found: Probed) -> list[tuple[str, bool]]:
    """Of each picture the concept that it is kept of, and whether it shows it."""
    return [(concept, bool(shown)) for concept, images in found.images.items() for shown in images.labels[concept]]


def _section(check: Check, found: Probed, pictures: Sequence[str], shows: Sequence[tuple[str, bool]]) -> Section:
    log_odds = found.log_odds[check.concept]
    order = [int(index) for index in np.argsort(-log_odds, kind="stable")]
    own = [index for index in order if shows[index] == (check.concept, True)]
    others = [index for index in order if shows[index] != (check.concept, True)][:MOST_OTHERS]

    def probe(index: int) -> Probe:
        (of, shown), value = shows[index], float(log_odds[index])
        fires, mine = value > 0, of == check.concept and shown
        # What a picture of another concept shows beside that nobody noted: it may be right to fire for it.
        right = fires if mine else not (fires and of == check.concept)
        probability = float(np.exp(-np.logaddexp(0, -value)))  # however large they are, without overflow
        return Probe(pictures[index], of if shown else f"no {of}", percent(probability), fires, right)

    return Section(check, [probe(index) for index in own], [probe(index) for index in others])
