"""The benchmark of students that learn a handful of labels: benchmarks/few_students.py."""

from __future__ import annotations

from pathlib import Path

import few_students
import numpy as np
from few import DOCUMENT, MEASURES
from PIL import Image

from handfuls import PARENTS
from tiny import tiny_images, training_images

LABELS = (0, 5)


def case() -> few_students.Case:
    shown = [training_images(concept, 60, 16) for concept in ("black", "cat")]
    return few_students.Case(("black", "cat"), PARENTS, shown, tiny_images(10), tiny_images(30, seed=5))


def test_labels_are_drawn_from_the_first_of_each_kind_and_all_others_are_of_the_domain(tmp_path: Path) -> None:
    domain = tiny_images(30, seed=5)
    labelled, others = few_students.laid_out(domain, 16, tmp_path, pool=8)
    counts = [len(list(folder.iterdir())) for folder in (labelled / "yes", labelled / "no", others)]
    assert counts == [8, 8, len(domain) - 16]
    for folder, target in ((labelled / "yes", True), (labelled / "no", False)):
        numbers = [int(file.stem) for file in sorted(folder.iterdir())]
        assert numbers == np.flatnonzero(domain.target == target)[:8].tolist()
    first = min(others.iterdir())
    assert np.array_equal(np.asarray(Image.open(first)), domain.at(16)[int(first.stem)].permute(1, 2, 0).numpy())


def test_students_are_the_same_but_for_their_labels() -> None:
    found = few_students.curves(case(), LABELS, draws=2, steps=30, pool=8)
    assert set(found) == set(few_students.ROWS)
    for scored in found.values():
        assert scored.shape == (len(LABELS), 2, len(MEASURES))
        assert ((scored >= 0) & (scored <= 1)).all()
        assert not np.array_equal(scored[0], scored[1]), "labels changed nothing"
    assert not np.array_equal(found["parents"][0], found["folder"][0])
    unlabelled = few_students.curves(case(), LABELS[:1], draws=2, steps=30, pool=8)
    for row, scored in unlabelled.items():
        np.testing.assert_allclose(scored[0], found[row][0], atol=1e-6)


def test_the_text_says_what_the_numbers_say() -> None:
    scored = np.full((len(LABELS), 2, len(MEASURES)), 0.8)
    scored[1] += 0.1
    text = few_students.text_of([("black", "cat")], [{"parents": scored, "folder": scored[::-1]}], LABELS, "command")
    assert "| 5 | 0.900 | +0.100 (+0.100 to +0.100) | 0.800 | -0.100 (-0.100 to -0.100) |" in text
    said = " ".join(text.split())
    assert "the parents' pictures: AUC is clearly better with 5 of 5 labels of each kind; hardest cell is" in said
    assert "AUC is clearly better with none of 5 labels of each kind, and clearly worse with 5;" in said


def test_the_page_has_a_place_for_it() -> None:
    assert few_students.BEGIN in DOCUMENT.read_text(encoding="utf-8")
