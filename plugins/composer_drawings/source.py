"""Draws all pictures of a split."""

from __future__ import annotations

import torch

from composer import Images, Run, Split
from composer_drawings import Drawings
from composer_drawings.scene import draw_picture
from composer_drawings.world import oracle_subjects, test_subjects, training_subjects


def draw_split(split: Split, source: Drawings, run: Run) -> Images:
    """The pictures of a split, named by what they show."""
    rng, size = run.rng(), source.size
    concepts = split.shown
    if split.concept is not None:
        shown = training_subjects(split, split.concept, source.train, rng, source.held_out)
    elif split.labelled:
        shown = oracle_subjects(split, source.train, rng)
    else:
        shown = test_subjects(concepts, source.test, rng)
    count = len(shown)
    pixels = torch.empty(count, 3, size, size, dtype=torch.uint8)
    for index, (subject, _) in enumerate(run.progress(shown, f"drawing {split}", count)):
        pixels[index] = torch.from_numpy(draw_picture(subject, size, rng)).permute(2, 0, 1)
    return Images(
        [f"{subject} {index:04d}" for index, (subject, _) in enumerate(shown)],
        {concept: [flags[i] for _, flags in shown] for i, concept in enumerate(concepts)},
        pixels,
    )
