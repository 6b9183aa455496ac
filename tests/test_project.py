"""What stands around the code says the same as the code: versions, classifiers, hooks, workflows."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from composer import __version__
from conftest import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = ["3.11", "3.12", "3.13"]


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_what_is_cited_is_this_version_under_this_licence() -> None:
    cited = read("CITATION.cff")
    assert (cited["version"], cited["license"]) == (__version__, PROJECT["license"])
    assert {"cff-version", "message", "title", "authors"} <= cited.keys(), "what the format requires"


def test_the_pythons_that_are_claimed_are_those_that_are_tested() -> None:
    claimed = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)]
    workflow = read(".github/workflows/ci.yml")
    assert claimed == workflow["jobs"]["newest"]["strategy"]["matrix"]["python"] == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    assert workflow["jobs"]["newest"]["steps"][-1]["run"] == ".ci/run"


def test_the_oldest_versions_that_are_tested_are_the_lowest_that_are_allowed() -> None:
    extras = PROJECT["optional-dependencies"]
    needed = [*PROJECT["dependencies"], *(each for name, own in extras.items() if name != "dev" for each in own)]
    bounds: dict[str, list[str]] = {}
    for requirement in map(Requirement, [*needed, *extras["dev"]]):
        bounds.setdefault(requirement.name, []).extend(bound.version for bound in requirement.specifier)
    lowest = {f"{name}=={max(bounds[name], key=Version)}" for name in (Requirement(each).name for each in needed)}
    lines = (ROOT / ".ci" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    assert {line for line in lines if not line.startswith("#")} == lowest


def test_the_line_that_the_oldest_versions_are_tested_by_is_that_of_the_continuous_integration() -> None:
    (step,) = [step for step in read(".github/workflows/ci.yml")["jobs"]["oldest"]["steps"] if "run" in step]
    found = re.search(r"grep .*?README\.md", step["run"])
    assert found is not None
    assert found[0] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert (ROOT / step["env"]["PIP_CONSTRAINT"]).is_file()


def test_hooks_before_a_commit_ask_what_the_continuous_integration_asks() -> None:
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    asked = {hook["entry"].replace(" --force-exclude", "") for hook in repository["hooks"]}
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    run = [line.partition(" > ")[0] for line in lines if re.match(r"\.venv/bin/(ruff|mypy)", line)]
    assert asked == {line.removesuffix(" .") for line in run}


def test_issue_forms_have_what_the_site_requires() -> None:
    forms = [read(str(file.relative_to(ROOT))) for file in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")]
    for form in [form for form in forms if "blank_issues_enabled" not in form]:
        assert {"name", "description", "body"} <= form.keys()
        assert all(field["attributes"]["label"] for field in form["body"])


def test_every_package_says_that_it_is_typed() -> None:
    packages = [ROOT / "composer", *sorted((ROOT / "plugins").glob("composer_*"))]
    assert len(packages) > 20
    assert not [package.name for package in packages if not (package / "py.typed").is_file()]
    assert "Typing :: Typed" in PROJECT["classifiers"]
