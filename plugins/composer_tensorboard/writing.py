"""A report as TensorBoard's event files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter


def write(report: Mapping[str, Any], seconds: Mapping[str, float], figures: Path, folder: Path) -> None:
    """Scores of each composition below a folder of its own, so that they share a chart; the seed is the step."""
    seed = report["seed"]
    for name, composition in report["compositions"].items():
        with SummaryWriter(str(folder / name)) as writer:
            for score, facts in composition["scores"].items():
                writer.add_scalar(f"{score}/picked", facts["picked"], seed)
                writer.add_scalar(f"{score}/median", facts["median"], seed)
    with SummaryWriter(str(folder)) as writer:
        for stage, taken in seconds.items():
            writer.add_scalar(f"seconds/{stage}", taken, seed)
        for file in sorted(figures.glob("*.png")):
            with Image.open(file) as picture:
                writer.add_image(file.stem, np.asarray(picture.convert("RGB")), seed, dataformats="HWC")
