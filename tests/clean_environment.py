"""A virtual environment with nothing in it but composer's wheel; torch and the rest are seen where they already are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOOLS = ("pip", "pytest", "mypy", "build", "twine")
"""Commands that the environment borrows from the one that the tests run in."""
OWN = ("PIP_", "PYTHON", "PYTEST_ADDOPTS")
"""Variables that are about the environment in which the tests run."""


@dataclass(frozen=True)
class Environment:
    """A folder with a Python of its own, in which shell commands can be run."""

    home: Path

    def run(self, command: str, folder: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """What a shell command gives that is run in `folder`; standard error comes within standard output."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(OWN)},
                "PATH": f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "VIRTUAL_ENV": str(self.home),
                # Whatever is needed is there: neither a package index nor an environment to build in is asked for.
                "PIP_NO_INDEX": "1",
                "PIP_NO_BUILD_ISOLATION": "0",  # pip's own riddle: 0 means without isolation
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
                "MYPY_CACHE_DIR": str(self.home / "mypy_cache"),  # half a minute for torch and composer, once
                "OMP_NUM_THREADS": "1",
                "COLUMNS": "100",
                "NO_COLOR": "1",
                "TERM": "dumb",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def succeed(self, command: str, folder: Path, timeout: float = 300) -> str:
        """What a command prints that must succeed."""
        done = self.run(command, folder, timeout)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        return done.stdout

    def fetch(self, requirement: str) -> bool:
        """Installs a library from the package index; False where the index cannot be reached or does not have it."""
        return _called_pip(*self._into(), "install", "--quiet", "--no-deps", requirement).returncode == 0

    def has(self, module: str) -> bool:
        """Whether Python finds a module here."""
        return (
            self.run(
                f"python -c 'import importlib.util as u, sys; sys.exit(u.find_spec(\"{module}\") is None)'", self.home
            ).returncode
            == 0
        )

    def installed(self) -> set[str]:
        """The distributions of its own."""
        (site,) = self.home.glob("lib/python*/site-packages")
        return {found.name for found in distributions(path=[str(site)])}

    def clear(self) -> None:
        """Uninstalls everything but composer."""
        if others := self.installed() - {"kernel-composer"}:
            _pip(*self._into(), "uninstall", "--yes", *others)

    def _into(self) -> tuple[str, str]:
        return ("--python", str(self.home / "bin" / "python"))


def build_wheel(folder: Path) -> Path:
    """Composer's wheel, built in a copy of this tree, so that nothing is left in it."""
    source = folder / "source"
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in ("composer", "plugins"):
        shutil.copytree(ROOT / part, source / part, ignore=leave_out)
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / part, source / part)
    _pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    return next(folder.glob("*.whl"))


def make_environment(home: Path, wheel: Path) -> Environment:
    """A new environment into which composer's wheel is installed."""
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    _pip("--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    site = next((home / "lib").glob("python*")) / "site-packages"
    # Plain paths: what is installed there is seen, and its own .pth files (an editable composer) are not read.
    others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "others.pth").write_text("".join(f"{path}\n" for path in others), encoding="utf-8")
    for tool in TOOLS:
        script = home / "bin" / tool
        script.write_text(f'#!/bin/sh\nexec "{python}" -m {tool} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return Environment(home)


def _called_pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, timeout=300)


def _pip(*arguments: str) -> None:
    done = _called_pip(*arguments)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}(is setuptools older than 77? pip install -e '.[dev]')"
