"""Versions of what a result depends on, then and now; nothing here imports torch."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from composer.version import __version__

LIBRARIES = ("torch", "numpy", "scikit-learn", "hdbscan", "umap-learn", "pillow", "scipy")


def versions(distributions: Iterable[str] = ()) -> dict[str, str]:
    """Of composer, Python, the libraries that compute, and further distributions."""
    names = ("composer", "python", *LIBRARIES, *distributions)
    return {name: version_now(name) for name in names}


def version_now(name: str) -> str:
    """What `versions` would say of one name; `not installed` for a distribution that is not there."""
    if name == "composer":
        return __version__
    if name == "python":
        return platform.python_version()
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
