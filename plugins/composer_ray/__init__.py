"""Works the stages of a run on a cluster of Ray's: one that runs, or one of this machine, made for the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from composer import ComposerError, hook

if TYPE_CHECKING:
    from composer import Executor, Place


def open_ray(place: Place, workers: int, address: str) -> Executor:
    """Joins the cluster at `address`; without one a cluster of this machine alone is made, and ends with the run."""
    try:
        from composer_ray.cluster import Cluster  # imports ray, which takes a second
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ComposerError("--executor ray needs the package ray: pip install 'kernel-composer[ray]'") from error
    return Cluster(place, workers, address)


@hook
def composer_executors() -> Mapping[str, Any]:
    return {"ray": open_ray}
