"""Draws all pictures of a split."""

from __future__ import annotations

import torch

from composer import Images, Run, Split
from composer_drawings.scene import draw_picture
from composer_drawings.world import test_subjects, training_subjects


def draw_split(split: Split, size: int, count: int, run: Run) -> Images:
    """`count` pictures of `size` pixels, named by what they show."""
    rng = run.rng()
    if split.concept is None:
        concepts = split.concepts
        shown = test_subjects(concepts, count, rng)
    else:
        concepts = (split.concept,)
        shown = training_subjects(split, split.concept, count, rng)
    pixels = torch.empty(count, 3, size, size, dtype=torch.uint8)
    for index, (subject, _) in enumerate(run.progress(shown, f"drawing {split}", count)):
        pixels[index] = torch.from_numpy(draw_picture(subject, size, rng)).permute(2, 0, 1)
    return Images(
        [f"{subject} {index:04d}" for index, (subject, _) in enumerate(shown)],
        {concept: [flags[i] for _, flags in shown] for i, concept in enumerate(concepts)},
        pixels,
    )
