"""Networks that know colours, and pictures of about one colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from composer_cnn import CNN

SIZE = 16
NETWORK = f"{{use: cnn, filters: [3, 3], size: {SIZE}}}"
COLOURS = {"red": (230, 40, 40), "green": (40, 230, 40), "blue": (40, 40, 230), "white": (230, 230, 230)}
FIRST, SECOND = ("red", "green"), ("blue", "white")


def colour_network(folder: Path, name: str, classes: Sequence[str], size: int = SIZE, gain: float = 4.0) -> Path:
    """A checkpoint that knows colours: its first layer hands on the three channels' means, its head compares them."""
    network = CNN(filters=(3, 3), size=size).build(len(classes))
    state = {key: torch.zeros_like(tensor) for key, tensor in network.state_dict().items()}
    for channel in range(3):
        state["conv1.weight"][channel, channel] = 1 / 25
        state["conv2.weight"][channel, channel] = 1 / 25
    state["conv1.bias"] += 1.0  # ReLU would cut what is dark
    places = state["fc1.weight"].shape[1] // 3
    for row, colour in enumerate(classes):
        wanted = torch.tensor(COLOURS.get(colour, (0, 0, 0))) / 127.5
        for channel in range(3):
            state["fc1.weight"][row, channel * places : (channel + 1) * places] = gain * wanted[channel] / places
        state["fc1.bias"][row] = -gain * float(wanted.square().sum()) / 2
    file = folder / f"{name}.pth"
    torch.save(state, file)
    return file


def plain(colour: str, count: int, seed: int, size: int = SIZE) -> NDArray[np.uint8]:
    """Pictures [count, size, size, 3] of about one colour."""
    rng = np.random.default_rng(seed)
    shade = np.array(COLOURS[colour]) + rng.normal(0, 45, (count, 1, 1, 3))
    return np.clip(shade + rng.normal(0, 10, (count, size, size, 3)), 0, 255).astype(np.uint8)


def fill(folder: Path, colours: Mapping[str, str], count: int = 14, seed: int = 0) -> Path:
    """folder/NAME/0.png ... of each name's colour."""
    for index, (name, colour) in enumerate(colours.items()):
        (folder / name).mkdir(parents=True)
        for number, picture in enumerate(plain(colour, count, seed + index)):
            Image.fromarray(picture).save(folder / name / f"{number}.png")
    return folder


def some_pixels(count: int = 12, seed: int = 3) -> Tensor:
    """Pictures [count * 4, 3, 16, 16] of all colours, in 0..255."""
    pixels = np.concatenate([plain(colour, count, seed + index) for index, colour in enumerate(COLOURS)])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def colour_home(folder: Path) -> Path:
    """Three networks of two colours each, pictures of all four, others to test with, and some in no folders."""
    colour_network(folder, "a", FIRST)
    colour_network(folder, "b", SECOND, size=20)
    colour_network(folder, "c", ("white", "red"))
    colours = {name: name for name in COLOURS}
    fill(folder / "pictures", colours)
    fill(folder / "test", colours, count=6, seed=50)
    (folder / "plain").mkdir()
    for file in sorted((folder / "pictures").rglob("*.png")):
        (folder / "plain" / f"{file.parent.name}{file.name}").write_bytes(file.read_bytes())
    return folder
