"""Names of the installed timm's networks, read from its sources: importing it would take seconds."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

MODEL = re.compile(r"^@register_model\ndef (\w+)\(", re.MULTILINE)


@cache
def networks() -> frozenset[str]:
    """Empty where timm is not installed."""
    found = find_spec("timm")
    if found is None or found.origin is None:
        return frozenset()
    files = (Path(found.origin).parent / "models").glob("*.py")
    return frozenset(name for file in files for name in MODEL.findall(file.read_text(encoding="utf-8")))
