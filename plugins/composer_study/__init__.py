"""The study that this project grew from, replayed: its pictures, its generators, its pipeline and its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from composer import (
    Component,
    ComposerError,
    Contract,
    Evaluator,
    ImageSource,
    RecipePath,
    Run,
    ScoreInfo,
    Split,
    Translator,
    hook,
)
from composer_study import pictures

if TYPE_CHECKING:
    from composer import ComposedModel, Images, KernelSet, Report

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


class Untouched(Translator):
    """The parents' own kernels, as they are: a control for everything that changes kernels."""

    name = "untouched"
    control: ClassVar[bool] = True
    contract = Contract(parents=(1, None), architecture="one")

    members: int | None = Field(
        None, ge=1, le=100_000, description="take only the first so many of each parent (null: all)"
    )

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_study.generators import untouched  # imports torch

        return untouched(parents, self.members)


class Untrained(Translator):
    """Kernels as PyTorch draws them before any training: what the architecture does by itself.

    Uniform between -1 and 1 over the root of a kernel's inputs, so their mean is 0. Unlike trained kernels, which may
    need their biases, they work with biases of zero.
    """

    name = "untrained"
    control: ClassVar[bool] = True
    contract = Contract(parents=(1, None), architecture="one", reference="He et al. 2015, arXiv:1502.01852")

    members: int | None = Field(
        None, ge=1, le=100_000, description="how many to make (null: as many as all parents have together)"
    )

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_study.generators import untrained  # imports torch

        return untrained(parents, self.members, run)


class Study(Evaluator):
    """Scores of the study's clusterings, for every network and not only for those that its tables list.

    `kmeans.*`: K-means on the features as they are, for all members. `umap.METHOD.*`: the study's pipeline (UMAP to
    the plane, then K-means, a one-class SVM or DBSCAN) for as many members as `umap_members` says. `replay.METHOD.*`:
    the same for the members that the study's tables list, several times with the features rounded anew, because the
    last place of a feature decides much of what UMAP shows; what was found most often counts. The tables are written
    to `study.md` in the run's folder and shown at the end of the run, each row beside the printed one.

    The cluster that holds most of the target's pictures means the target, as in the study. Its columns are given under
    the field's names: its precision is `recall`, its recall `precision`, its entropy `class_entropy`, H(cluster |
    class), its purity `class_purity`. The one-class SVM is fitted on the target's test pictures, so its scores are
    marked as fitted with labels.
    """

    name = "study"
    scores = (
        ScoreInfo(
            "kmeans.accuracy",
            "K-means accuracy",
            "K-means\naccuracy",
            main=True,
            shows=("picked", "interval", "median"),
        ),
        ScoreInfo("kmeans.matched_accuracy", "matched K-means accuracy", "matched\nK-means", compared=True),
        ScoreInfo("umap.kmeans.accuracy", "K-means accuracy after UMAP", "UMAP,\nK-means", compared=True),
        ScoreInfo("umap.dbscan.accuracy", "DBSCAN accuracy after UMAP", "UMAP,\nDBSCAN", compared=True),
        ScoreInfo("umap.one_class_svm.accuracy", "one-class SVM accuracy after UMAP", "UMAP,\nSVM", labels="fitting"),
    )
    contract = Contract(reference=f"{STUDY}; Arthur and Vassilvitskii 2007 (k-means++); McInnes et al. 2018 (UMAP)")

    members: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="most members judged by K-means, evenly spaced, and the picked one beside them (null: all)",
    )
    restarts: int = Field(10, ge=1, le=1000, description="starts of K-means, of which the tightest is kept")
    umap_members: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="members judged after UMAP as well, evenly spaced; each takes a third of a second",
    )
    replay: bool = Field(True, description="judge the networks that the study's tables list, where a model has them")
    roundings: int = Field(
        24, ge=1, le=1000, description="times that such a network is judged: as it is, then rounded anew"
    )
    umap_seed: int = Field(47, ge=0, lt=2**32, description="seed of UMAP")
    kmeans_seed: int = Field(1, ge=0, lt=2**32, description="seed of K-means after UMAP")
    svm_nu: float = Field(0.1, gt=0, lt=1, description="largest share of the target's pictures left outside")
    dbscan_eps: float = Field(
        3.0, gt=0, description="radius of a neighbourhood in the plane; the study changed it by hand for each network"
    )
    dbscan_min_samples: int = Field(
        3, ge=1, le=1_000_000, description="pictures in a neighbourhood that make a core point"
    )
    processes: int | None = Field(
        None, ge=1, le=1024, description="networks judged at the same time (null: one on each core)"
    )

    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        from composer_study.evaluation import evaluate  # imports torch

        return evaluate(self, model, images, run)


class Novelty(Evaluator):
    """Distances of a model's kernels to its parents': whether they are copies, or no more than noise.

    Euclidean, over all weights: `to_nearest_parent` and `to_mean` (of all parents). Where members' names say what they
    were made from (`229 A`): `to_source`, `to_unrelated_parent` (another of the source's population) and
    `noise_to_nearest_parent`, what they were made from plus normal noise as large as the change. A composition that
    copies, or that does no more than noise, gets a warning that says so.
    """

    name = "novelty"
    scores = (ScoreInfo("to_nearest_parent", "distance of kernels to the nearest parent's", main=True, compared=False),)
    contract = Contract(kernels=True, reference="Zeng et al. 2025, arXiv:2506.07998")

    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        from composer_study.evaluation import evaluate_novelty  # imports torch

        return evaluate_novelty(model, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [StudyPictures, StudyGenerators, Untouched, Untrained, Study, Novelty]


@hook(trylast=True)
def composer_run_finished(report: Mapping[str, Any], folder: Path) -> None:
    """Writes the tables and figures that compare compositions, where the recipe has the evaluator `study`."""
    from composer_study.summary import finish

    finish(report, folder)
