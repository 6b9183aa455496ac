"""Tints and places scikit-learn's handwritten digits."""

from __future__ import annotations

from colorsys import hsv_to_rgb
from itertools import cycle
from math import cos, sin

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from composer import Images, Run, Split
from composer_digits.factors import FACTORS, PALETTE
from composer_digits.world import oracle_subjects, test_subjects, training_subjects

FIRST_TEST = 1348
"""The last quarter of the 1,797 samples, from this one on, is for testing. Neighbours in the data set are alike, so
every fourth sample would flatter: a nearest neighbour errs on 1.1 % of those, and on 3.8 % of the last quarter."""


def load_split(split: Split, size: int, count: int, run: Run) -> Images:
    """`count` pictures of `size` pixels, each named by what it shows and the sample it was made from."""
    rng = run.rng()
    concepts = split.shown
    testing = split.concept is None and not split.labelled
    if split.concept is not None:
        shown = training_subjects(split, split.concept, count, rng)
    else:
        shown = test_subjects(concepts, count, rng) if testing else oracle_subjects(split, count, rng)
    ink, value = handwritten()
    part = range(FIRST_TEST, len(ink)) if testing else range(FIRST_TEST)
    samples = {
        digit: cycle(rng.permutation([i for i in part if value[i] == number]))  # each equally often (to one)
        for number, digit in enumerate(FACTORS["digit"])
    }
    names = []
    pixels = torch.empty(count, 3, size, size, dtype=torch.uint8)
    for index, (subject, _) in enumerate(run.progress(shown, f"tinting {split}", count)):
        sample = next(samples[subject.digit])
        names.append(f"{subject} {index:04d} from sample {sample}")
        pixels[index] = torch.from_numpy(tint(ink[sample], subject.colour, size, rng)).permute(2, 0, 1)
    return Images(names, {concept: [flags[i] for _, flags in shown] for i, concept in enumerate(concepts)}, pixels)


def handwritten() -> tuple[NDArray[np.uint8], NDArray[np.int_]]:
    """How much ink there is in all samples, [1797, 8, 8] from 0 to 255, and which digit each is, [1797]."""
    from sklearn.datasets import load_digits  # takes a second

    written = load_digits()
    return (written.images * (255 / 16)).round().astype(np.uint8), written.target


def tint(sample: NDArray[np.uint8], colour: str, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8 [size, size, 3]: the sample in ink of a colour, turned, scaled and placed, on a dark ground with noise."""
    ink = _placed(sample, size, rng)[:, :, None]
    picture = _background(size, rng)
    picture += ink * (np.array(_colour(colour, rng), dtype=np.float32) - picture)
    picture *= np.float32(rng.uniform(0.85, 1.1))
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(rng.uniform(2, 10))
    return picture.clip(0, 255).round().astype(np.uint8)


def _placed(sample: NDArray[np.uint8], size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How much ink lies on each pixel, [size, size] in [0, 1]."""
    angle, shear = float(rng.normal(0, 0.08)), float(rng.uniform(-0.12, 0.12))
    scale = 8 / (size * float(rng.uniform(0.8, 0.95)))  # sample pixels per picture pixel
    a, b = scale * (cos(angle) + shear * sin(angle)), scale * (sin(angle) - shear * cos(angle))
    c, d = -scale * sin(angle), scale * cos(angle)
    x, y = size * (0.5 + rng.uniform(-0.06, 0.06, 2))
    placed = Image.fromarray(np.pad(sample, 1)).transform(
        (size, size),
        Image.Transform.AFFINE,
        (a, b, 5 - a * x - b * y, c, d, 5 - c * x - d * y),
        Image.Resampling.BICUBIC,
    )
    return (np.asarray(placed, dtype=np.float32) / 255 * 2 - 0.4).clip(0, 1)  # steeper, so that strokes have edges


def _background(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """float32 [size, size, 3]: a gradient or blotches of two dark colours, and up to four bright blots of any hue."""
    cells = int(rng.integers(2, 5))
    ends = [_bytes(rng.random(), rng.uniform(0, 0.9), rng.uniform(0.05, 0.38)) for _ in range(2)]
    first, second = np.array(ends)
    grid = (first + rng.random((cells, cells, 1)) * (second - first)).astype(np.uint8)
    paper = Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC)
    brush = ImageDraw.Draw(paper)
    for _ in range(int(rng.integers(0, 5))):
        colour = _bytes(rng.random(), rng.uniform(0, 0.9), rng.uniform(0.5, 1.0))
        (x, y), radius = rng.uniform(0, size, 2).tolist(), size * rng.uniform(0.02, 0.06)
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(map(int, colour)))
    return np.asarray(paper, dtype=np.float32).copy()


def _colour(word: str, rng: np.random.Generator) -> tuple[float, float, float]:
    spans = zip(PALETTE[word], rng.random(3), strict=True)
    return _bytes(*(low + (high - low) * float(share) for (low, high), share in spans))


def _bytes(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    red, green, blue = hsv_to_rgb(hue % 1.0, saturation, value)
    return 255 * red, 255 * green, 255 * blue
