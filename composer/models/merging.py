"""Two or more checkpoints made one by an assembler, as a folder that `composer.load` reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from composer.data.composed import ComposedModel
from composer.data.decoding import FileDecoder
from composer.data.files import new_folder, write_json, write_text
from composer.data.images import Images
from composer.data.population import Population
from composer.data.run import Run
from composer.errors import ComposerError
from composer.interfaces import Assembler
from composer.models.cards import HERE, front_matter, licence_facts
from composer.models.file_networks import read_network
from composer.models.folder_files import CARD, CONFIG, WEIGHTS
from composer.models.network_weights import architecture_title
from composer.networks.architecture import Architecture
from composer.registry import nearest
from composer.running.storage import pack, write_tensors

CONCEPT = "merged"
"""What the network is said to know where nobody says it."""


def merge_files(
    files: Sequence[Path],
    method: Assembler,
    run: Run,
    *,
    concept: str | None = None,
    outputs: Sequence[int] = (),
    architecture: Architecture | None = None,
) -> ComposedModel:
    """What an assembler makes of the networks in checkpoint files, all of which know one concept.

    concept: a class by its name, where the classes of the network are known, or what `outputs` mean.
    architecture: left out, recognised by names and shapes. run: its pictures are shown to the assembler, unlabelled.
    Where a file holds several networks, `run` is warned of which was taken.
    ComposerError where the files hold different networks, or the method is none for parents alone.
    """
    if method.needs_kernels:
        raise ComposerError(f"--method {method.name}: makes networks out of kernels, and not out of networks alone")
    fewest, most = method.contract.parents
    if not fewest <= len(files) <= (most or len(files)):
        raise ComposerError(
            f"--method {method.name}: takes {method.contract.parents_text()} networks, not {len(files)}"
        )
    for option, message in method.problems([concept or CONCEPT] * len(files)):
        raise ComposerError(f"--method {method.name}: {option}: {message}")
    parents = [_parent(file, concept, tuple(outputs), architecture, run) for file in files]
    if method.contract.architecture == "one":
        for file, parent in zip(files, parents, strict=True):
            _require_alike((files[0], parents[0]), (file, parent), method, run)
    return method.assemble(None, parents, run)


def _require_alike(first: tuple[Path, Population], other: tuple[Path, Population], method: Assembler, run: Run) -> None:
    """Raises ComposerError, naming the files, where a method that needs one architecture is given two, or two heads.

    Where there are pictures, a head can be fitted on them.
    """
    networks = [architecture_title(population.architecture) for _, population in (first, other)]
    if networks[0] != networks[1]:
        raise ComposerError(
            f"{first[0]} holds a network of {networks[0]}, {other[0]} one of {networks[1]}: --method {method.name} "
            "merges networks of one architecture"
        )
    outputs = [
        population.weights[f"{population.architecture.head}.weight"].shape[1] for _, population in (first, other)
    ]
    if outputs[0] != outputs[1] and not run.pictures:
        raise ComposerError(
            f"{first[0]} has {outputs[0]} outputs, {other[0]} {outputs[1]}: their classes differ, so a new head has "
            "to be fitted; give pictures for that, --images"
        )


def pictures_of(files: Sequence[Path]) -> Images:
    """Pictures without labels."""
    return Images([str(file) for file in files], {}, FileDecoder(tuple(map(str, files))))


def write_merged(model: ComposedModel, folder: Path, method: Assembler, files: Sequence[Path]) -> None:
    """Writes a new folder with the model and a card; ComposerError where there is one already."""
    facts, tensors = pack(model)
    named = {"type": "ComposedModel", "composition": method.name, **facts, "picked_member": 0}
    with new_folder(folder) as part:
        write_tensors(part / WEIGHTS, tensors)
        write_json(part / CONFIG, {**named, "merged": [file.name for file in files], "method": _options(method)})
        write_text(part / CARD, _card(model, method, files))


def _options(method: Assembler) -> dict[str, Any]:
    """The options without the folders in which files lie on this machine."""
    files = {name: value.name for name in type(method).model_fields if isinstance(value := getattr(method, name), Path)}
    return {**method.options(), **files}


def _card(model: ComposedModel, method: Assembler, files: Sequence[Path]) -> str:
    options = ", ".join(f"{name}: {value}" for name, value in _options(method).items() if name != "use")
    facts = {"library_name": "composer", "tags": ["composer", "model-merging"], **licence_facts("")}
    reference = f" ({method.contract.reference})" if method.contract.reference else ""
    return (
        f"{front_matter(facts)}\n# {' + '.join(file.stem for file in files)}\n\n"
        f"Made out of {', '.join(file.name for file in files)} by `{method.name}`{reference}; {options}.\n"
        f"It has {model.parameters:,} parameters. How good it is was not measured.\n\n"
        f'Load it with `composer.load("{HERE}")`.\n'
    )


def _parent(
    file: Path, concept: str | None, outputs: tuple[int, ...], architecture: Architecture | None, run: Run
) -> Population:
    population, count, classes = read_network(file, architecture, run)
    meant = outputs or _outputs(file, concept, classes, count)
    if wrong := [output for output in meant if not 0 <= output < count]:
        raise ComposerError(f"--outputs {wrong[0]}: the network in {file} has outputs 0 to {count - 1}")
    return replace(population, concept=concept or CONCEPT, outputs=meant, _memo={})


def _outputs(file: Path, concept: str | None, classes: Sequence[str], count: int) -> tuple[int, ...]:
    """Which outputs mean the concept: the only one, or the class that is called so."""
    if concept in classes:
        return (classes.index(concept),)
    if count == 1:
        return (0,)
    if concept is not None and classes:
        raise ComposerError(f"{file}: has no class {concept!r}{nearest(concept, classes)}")
    named = f" ({', '.join(classes[:4])}, ...), so --concept names one" if classes else ""
    raise ComposerError(f"{file}: has {count} outputs{named}; say which count, such as --outputs 0")
