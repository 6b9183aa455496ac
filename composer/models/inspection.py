"""What composer sees in a model: a file, a saved composition, or one that is known by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from composer.data.population import Population
from composer.data.run import Run
from composer.errors import ComposerError
from composer.interfaces import ModelSource
from composer.models.folder_files import MODEL_FILES
from composer.models.known_networks import (
    KnownNetwork,
    describe_preprocessing,
    named_network,
    recognise,
    shapes_of,
    trained,
)
from composer.models.model_folder import ModelFolder, find_model
from composer.networks.layers import Ability, Layer, Shapes, abilities, layers_of_network, layers_of_shapes, unstacked
from composer.networks.state_file import StateFile, read_state_file
from composer.networks.tensor_names import by_prefix, some
from composer.networks.weights_file import unreadable
from composer.registry import Registry, load_registry


@dataclass(frozen=True)
class Inspection:
    """All that `composer inspect` says of one network."""

    title: str
    layers: tuple[Layer, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    """What people want to know first: `outputs`, `preprocessing`, `parameters`, ..."""
    abilities: tuple[Ability, ...] = ()


def inspect_model(model: str, registry: Registry | None = None) -> list[Inspection]:
    """What there is to say of a checkpoint file, a saved composition (each of its networks), or a named model.

    Named models are those of the libraries that plugins know, and the model sources that need no option.
    """
    registry = registry or load_registry()
    path = Path(model)
    if path.is_dir():
        return _of_folder(find_model(path))
    if path.is_file():
        return [_of_file(path, registry)]
    if len(path.parts) > 1 or path.suffix in MODEL_FILES:
        raise ComposerError(f"{model}: there is no such file or folder")
    source = named_source(model, registry)
    if source is not None:
        return [_of_source(source)]
    others = [component.name for component, _ in registry.components("models") if _needs_nothing(component)]
    return [_of_known(named_network(model, others, registry))]


def _of_folder(home: ModelFolder) -> list[Inspection]:
    model = home.read(home.member(None))
    count = len(home.members)
    title = f"{home.path}: composition {home.name}, {count} member{'s' if count > 1 else ''}"
    many = len(model.parts) > 1
    return [
        _of_population(part, f"{title}, network {index} of {len(model.parts)}" if many else title)
        for index, part in enumerate(model.parts, start=1)
    ]


def _of_source(source: ModelSource) -> Inspection:
    population = source.load(source.name, Run())
    found = _of_population(population, f"models: {source.name}", tuple(source.class_names() or ()))
    return replace(found, facts={key: text for key, text in found.facts.items() if key != "concept"})


def _of_population(population: Population, title: str, classes: tuple[str, ...] = ()) -> Inspection:
    architecture = population.architecture
    weight = population.weights.get(f"{architecture.head}.weight")
    network = architecture.blueprint(1 if weight is None else weight.shape[1])
    known = KnownNetwork(
        title, network, architecture.head, describe_preprocessing(population), classes, architecture.name
    )
    found = _of_known(known, headless=weight is None)
    meaning = ", ".join(map(str, population.outputs))
    concept = f"{population.concept} (output {meaning})" if meaning else f"{population.concept} (features only)"
    return replace(found, facts={"architecture": architecture.name, "concept": concept, **found.facts})


def _of_known(known: KnownNetwork, headless: bool = False) -> Inspection:
    layers = layers_of_network(known.network, known.head)
    if headless:
        layers = [layer for layer in layers if layer.kind != "head"]
    return _of_layers(known.title, layers, known.classes, known.preprocessing or "unknown")


def _of_layers(title: str, layers: Sequence[Layer], classes: Sequence[str], preprocessing: str) -> Inspection:
    head = next((layer for layer in layers if layer.kind == "head"), None)
    facts = {
        "parameters": f"{sum(layer.parameters for layer in layers):,}",
        "outputs": _outputs(head, classes),
        "preprocessing": preprocessing,
    }
    return Inspection(title, tuple(layers), facts, abilities(layers, head is not None and head.shape[0] > 1))


def _of_file(file: Path, registry: Registry) -> Inspection:
    state = read_state_file(file)
    members, shapes = unstacked(shapes_of(state.tensors))
    known, prefix = recognised(shapes, file, registry)
    if known is not None and not known.differences:
        found = _of_known(known)
        network, facts = known.title, found.facts
    else:
        layers = layers_of_shapes(unstacked(shapes_of(trained(state.tensors)))[1])
        titles = " or ".join(["composer", *(library.name for library in registry.hook.composer_networks())])
        network = f"none that {titles} has: the kinds below are guessed from names and shapes"
        preprocessing = "unknown; ask whoever trained it (size, mean, std)"
        if known is not None:
            differing = "; ".join(known.differences[:4])
            network = f"the names are those of {known.title}, the shapes are not: {differing}; set its options"
        found = _of_layers(str(file), layers, (), preprocessing)
        facts = found.facts
    if why := next(_unread(state), ""):
        found = replace(found, abilities=tuple(replace(ability, able=False, why=why) for ability in found.abilities))
    notes = _notes(state, members)
    if prefix:
        notes["names"] = f"all of the network's begin with {state.prefix + prefix!r}, left out below"
        beside = [name for name in shapes if not name.startswith(prefix)]
        notes |= {"beside it": some(beside)} if beside else {}
    return replace(found, title=str(file), facts={**notes, "network": network, **facts})


def recognised(shapes: Shapes, file: Path, registry: Registry) -> tuple[KnownNetwork | None, str]:
    """The network that is known, and the prefix under which most of a file's names lie and it is found."""
    near = None
    for prefix, inside in by_prefix(shapes).items():
        if 2 * len(inside) < len(shapes):
            continue
        known = recognise(inside, file, registry)
        if known is not None and not known.differences:
            return known, prefix
        near = near or known
    return near, ""


def recognised_in(state: StateFile, file: Path, registry: Registry) -> tuple[KnownNetwork | None, str]:
    """The same of a file's tensors; networks that are stacked in it are taken as one."""
    return recognised(unstacked(shapes_of(state.tensors))[1], file, registry)


def _notes(state: StateFile, members: int | None) -> dict[str, str]:
    notes = {}
    if members is not None:
        notes["members"] = f"{members}, stacked along the first axis"
    if state.key:
        beside = f"; beside it: {', '.join(state.beside)}" if state.beside else ""
        notes["found under"] = f"{state.key!r}{beside}"
    if state.prefix:
        notes["names"] = f"all begin with {state.prefix!r}, put there by a wrapper of torch; left out below"
    kinds = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in state.tensors.values()})
    notes["numbers"] = ", ".join(kinds)
    broken = [name for name, tensor in state.tensors.items() if _not_finite(tensor)]
    if unread := list(_unread(state)):
        notes["warning"] = unread[0] + (f"; and {len(unread) - 1} more such tensors" if len(unread) > 1 else "")
    elif broken:
        notes["warning"] = f"NaN or infinite numbers in {', '.join(broken[:3])}{' and more' if len(broken) > 3 else ''}"
    return notes


def _unread(state: StateFile) -> Iterator[str]:
    """Tensors that cannot be weights, each with why; whole numbers under other names may be a network's own."""
    for name, tensor in state.tensors.items():
        if why := unreadable(tensor, name.rpartition(".")[2] in ("weight", "bias")):
            yield f"{name} is {why}"


def _not_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point() or tensor.is_meta:
        return False
    return not bool((tensor.float() if tensor.itemsize == 1 else tensor).isfinite().all())


def _outputs(head: Layer | None, classes: Sequence[str]) -> str:
    if head is None:
        return "no linear head"
    listed = (
        f" ({', '.join(classes[:4])}{', ...' if len(classes) > 4 else ''})" if len(classes) == head.shape[0] else ""
    )
    return f"{head.shape[0]}{listed}, from {head.shape[1]:,} features in {head.name!r}"


def named_source(name: str, registry: Registry) -> ModelSource | None:
    for component, _ in registry.components("models"):
        if component.name == name and _needs_nothing(component):
            made = component.model_validate({})
            assert isinstance(made, ModelSource)
            return made
    return None


def _needs_nothing(component: type) -> bool:
    """Whether a model source gives something without options and without pictures."""
    assert issubclass(component, ModelSource)
    required = any(option.is_required() for option in component.model_fields.values())
    return not required and component.contract.pictures == "none"
