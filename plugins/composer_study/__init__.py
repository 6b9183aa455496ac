"""The study that this project grew from: its test pictures and its published generators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from composer import Component, ComposerError, Contract, ImageSource, RecipePath, Run, Split, Translator, hook
from composer_study import pictures

if TYPE_CHECKING:
    from composer import Images, KernelSet

STUDY = "Patel and Jain 2024, Generating Machine Learning Models Using Machine Learning Models"


class StudyPictures(ImageSource):
    """The study's 89 test photographs, in its order: folder 0 (others), then folder 1 (black cats).

    What a picture of folder 0 shows is read from its name: black things and black dogs show black, white cats a cat,
    the others neither. There are no training pictures.
    """

    name = "study_pictures"
    contract = Contract(reference=STUDY)

    folder: RecipePath = Field(
        Path("GeneratedCNN_test"), validate_default=True, description="folder with the folders 0 and 1"
    )

    def split_problems(self, split: Split) -> Iterable[tuple[str, str]]:
        if split.concept is not None:
            yield "", f"has no training pictures of {split.concept!r}, only test pictures: choose parts that need none"
            return
        for message in pictures.problems(self.folder, split.concepts):
            yield "folder", message

    def split_files(self, split: Split) -> Iterable[Path]:
        return pictures.picture_files(self.folder)

    def load(self, split: Split, run: Run) -> Images:
        from composer import FileDecoder, Images  # import torch

        for option, message in self.split_problems(split):
            raise ComposerError(f"study_pictures: {option}: {message}" if option else f"study_pictures {message}")
        files = pictures.picture_files(self.folder)
        shown = [pictures.shown(file, split.concepts) for file in files]
        return Images(
            [f"{file.parent.name}/{file.name}" for file in files],
            {concept: [concept in concepts for concepts in shown] for concept in split.concepts},
            FileDecoder(tuple(str(file.absolute()) for file in files), alpha="drop"),  # as PIL's convert("RGB") does
        )


class StudyGenerators(Translator):
    """Kernels redrawn by the study's published CycleGAN generators, without training.

    `229 A` are the kernels of the object's network 229 in the attribute's style, `229 B` those of the attribute's
    network 229 in the object's. A network's number is the last one in its name; only numbers that both populations
    have are translated, as in the study.
    """

    name = "study_generators"
    contract = Contract(parents=(2, 2), architecture="one", reference=f"{STUDY}; Zhu et al. 2017, arXiv:1703.10593")
    layers: ClassVar[tuple[str, ...]] = ("conv1", "conv2")

    domains: tuple[Literal["A", "B"], ...] = Field(
        ("A", "B"), description="which translations: A (object to attribute), B (attribute to object)"
    )
    conv1_to_a: RecipePath = Field(
        Path("generator_B2A.pth"), validate_default=True, description="weights of conv1's generator for A"
    )
    conv1_to_b: RecipePath = Field(
        Path("generator_A2B.pth"), validate_default=True, description="weights of conv1's generator for B"
    )
    conv2_to_a: RecipePath = Field(
        Path("2_generator_B2A.pth"), validate_default=True, description="weights of conv2's generator for A"
    )
    conv2_to_b: RecipePath = Field(
        Path("2_generator_A2B.pth"), validate_default=True, description="weights of conv2's generator for B"
    )

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if not self.domains or len(set(self.domains)) < len(self.domains):
            yield "domains", f"must be A, B or both, each once, not {list(self.domains)}"
        for option, file in self._files().items():
            if not file.is_file():
                yield option, f"there is no file {file}"

    def files(self) -> Iterable[Path]:
        return [file for file in self._files().values() if file.is_file()]

    def file(self, layer: str, domain: str) -> Path:
        """The weights of a layer's generator into a domain."""
        return self._files()[f"{layer}_to_{domain.lower()}"]

    def _files(self) -> dict[str, Path]:
        names = [f"{layer}_to_{domain.lower()}" for domain in self.domains for layer in self.layers]
        return {name: getattr(self, name) for name in names}

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_study.generators import translate  # imports torch

        return translate(self, parents, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [StudyPictures, StudyGenerators]
