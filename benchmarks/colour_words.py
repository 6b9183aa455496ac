"""Of how many named colours the nearest plain colour is the one that their name ends in (docs/phrases.md).

    python benchmarks/colour_words.py

The names are those of the colour survey of xkcd that end in one plain colour and name no other, such
as "brick red": what people have called so is known. A name of one word ("crimson") says nothing of that.
"""

from __future__ import annotations

from matplotlib.colors import XKCD_COLORS, to_rgb

from composer_english.colours import CLEARLY, PLAIN, difference, lab

SPELLED = {"gray": "grey"}
NAMED = (*PLAIN, *SPELLED)
ISH = tuple(colour[:3] for colour in NAMED)
"""`greenish`, `reddy` and `browny` begin as a colour does."""


def head(name: str) -> str | None:
    """The plain colour that a name ends in, where it names no other."""
    *others, last = name.split()
    plain = SPELLED.get(last, last)
    mixed = any(word in NAMED or (word.endswith(("ish", "y")) and word.startswith(ISH)) for word in others)
    return plain if others and plain in PLAIN and not mixed and "/" not in name else None


def main() -> None:
    """Prints a row for each weight of lightness, and for how much farther the second colour has to be."""
    seen = {name.removeprefix("xkcd:"): lab(*to_rgb(text)) for name, text in XKCD_COLORS.items()}
    names = {name: plain for name in seen if (plain := head(name))}
    print(f"{len(names)} names\n\nk_L  second at least  answered  right")
    for weight in (1.0, 2.0, 3.0):
        ranked = {
            name: sorted((difference(seen[name], seen[plain], weight), plain) for plain in PLAIN)[:2] for name in names
        }
        for clearly in (1.0, 1.1, CLEARLY, 1.5, 2.0):
            answers = {name: two[0][1] for name, two in ranked.items() if two[1][0] >= clearly * two[0][0]}
            right = sum(names[name] == answer for name, answer in answers.items())
            print(f"{weight:3.0f}  {clearly:13.2f} x  {len(answers):8}  {right / len(answers):.3f}")


if __name__ == "__main__":
    main()
