"""What people see of a network's couplings: two lines for each group of units."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from composer.models.coupled import CoupledUnits
from composer.networks.tensor_names import some
from composer.text import make_console

MOST = 3
"""Modules that are named for each axis."""
OF_MODULES = frozenset({"weight", "bias", "running_mean", "running_var", "in_proj_weight", "in_proj_bias"})
"""Tensors in whose place their module is named."""


def print_couplings(title: str, groups: Sequence[CoupledUnits]) -> None:
    """The units of each group, and the axes that move when they change places."""
    console = make_console()
    said = f"{title}: {len(groups)} groups of units can change places without changing an output"
    console.print(Text(said, style="bold"), soft_wrap=True)
    for group in groups:
        console.print(Text(f"  {group.name}: {group.units} units"), soft_wrap=True)
        console.print(Text(f"    {axes_text(group)}", style="dim"), soft_wrap=True)


def axes_text(group: CoupledUnits) -> str:
    """`axis 0 of conv1, bn1; axis 1 of conv2`: modules in place of their tensors."""
    named: dict[int, dict[str, None]] = {}
    for each in group.axes:
        module, _, last = each.tensor.rpartition(".")
        place = module if last in OF_MODULES and module else each.tensor
        many = f" ({each.places} places each)" if each.places > 1 else ""
        named.setdefault(each.axis, {})[place + many] = None
    return "; ".join(f"axis {axis} of {some(names, MOST)}" for axis, names in sorted(named.items()))
