"""What every source of picture files lets people choose about how they are read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from composer import ImageSource


class PictureFiles(ImageSource):
    """An image source that reads files: the options that such sources share."""

    size: int = Field(
        32,
        ge=1,
        le=4096,
        description="height and width, in pixels, made while the files are checked; "
        "models may ask for any other, for which every file is read a second time",
    )
    alpha: Literal["white", "drop"] = Field(
        "white",
        description="`white` puts transparent pictures on white, `drop` keeps the colours under the transparency",
    )
    unreadable: float = Field(
        0.05, ge=0, le=1, description="highest share of pictures that may be unreadable before it is an error"
    )
