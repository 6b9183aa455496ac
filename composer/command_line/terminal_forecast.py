"""What `composer run --dry` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from composer.progress import stage_title
from composer.running.forecast import Forecast, to_compute
from composer.text import make_console, seconds_text


def print_forecast(found: Sequence[Forecast]) -> None:
    """A line for each step, and what all of them come to."""
    console = make_console()
    for one in found:
        title, seconds = stage_title(one.step.name, one.step.subject), _took(one.seconds)
        line = f"{title:<42} {seconds:>9}  {'kept' if one.kept else 'to compute'}"
        console.print(Text(line, style="dim" if one.kept else ""), soft_wrap=True)
    missing, total, unknown = to_compute(found)
    said = f"{len(found) - missing} of {len(found)} steps are kept"
    if missing:
        said += f", {missing} to compute"
    if missing > unknown:
        said += (
            f"; {'these' if not unknown else f'{missing - unknown} of these'} took {seconds_text(total)} the last time"
        )
    console.print(said, soft_wrap=True)


def _took(seconds: float | None) -> str:
    return "-" if seconds is None else seconds_text(seconds)
