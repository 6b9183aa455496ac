"""What a worker of Ray's does with one step."""

from __future__ import annotations

import os
import pickle
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer import Ended, Place, Step, __version__, work_elsewhere

if TYPE_CHECKING:
    from ray.util.queue import Queue


@dataclass(frozen=True)
class Errand:
    """A step to be worked. sign: a file by which a worker sees that its store is the run's; made_by: a version."""

    step: bytes
    place: Place
    sign: Path
    made_by: str = __version__


def worked(errand: Errand, messages: Queue) -> Ended:
    """Works the step, or says why this machine cannot."""
    here = f"the worker on {platform.node()} (process {os.getpid()})"
    if errand.made_by != __version__:
        return Ended("failed", f"{here} has composer {__version__}, and the run composer {errand.made_by}: install one")
    if not errand.sign.exists():
        return Ended("failed", f"{here} does not see the store {errand.place.store}: all machines share it (--store)")
    try:
        step: Step = pickle.loads(errand.step)
        told = step.key
    except (ImportError, AttributeError) as error:
        return Ended("failed", f"{here} lacks a plugin of the run ({error}): install the same plugins everywhere")

    def say(message: Any) -> None:
        messages.put_nowait((told, message))

    return work_elsewhere(step, errand.place, say)
