"""`pytest --composer-plugin NAME`: every contract check of an installed plugin is a test. Found by pytest itself.

Pytest imports this module in every project where composer is installed, so it imports torch only when asked to check.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from composer.testing.installed import Subject
    from composer.testing.trial import Check


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("composer", "contract checks of composer's plugins")
    group.addoption(
        "--composer-plugin",
        action="append",
        default=[],
        metavar="NAME",
        help="Check all components of an installed plugin, of a distribution, or one component. May be repeated.",
    )
    group.addoption(
        "--composer-set",
        action="append",
        default=[],
        metavar="COMPONENT.OPTION=VALUE",
        help="Check a component with this option: cyclegan.epochs=1. May be repeated.",
    )
    group.addoption(
        "--composer-concepts",
        default="black,cat",
        metavar="NAMES",
        help="What image and model sources are asked for, by commas. [default: black,cat]",
    )


@pytest.hookimpl(tryfirst=True)  # before -k and -m choose among all tests
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    names = config.getoption("--composer-plugin")
    if not names:
        return
    from composer.errors import ComposerError
    from composer.registry import load_registry
    from composer.testing.installed import read_concepts, read_settings, subjects  # imports torch

    try:
        settings = read_settings(config.getoption("--composer-set"), "--composer-set")
        concepts = read_concepts(config.getoption("--composer-concepts"), "--composer-concepts")
        chosen = [(name, subjects(name, load_registry(), settings, concepts)) for name in names]
    except ComposerError as error:
        raise pytest.UsageError(str(error)) from None
    for name, found in chosen:
        plugin = ContractChecks.from_parent(session, name=name, found=found)
        items.extend(plugin.collect())


class ContractChecks(pytest.Collector):
    """All checks of what one name stands for."""

    def __init__(self, found: list[Subject], **rest: Any) -> None:
        super().__init__(**rest)
        self.found = found

    def collect(self) -> list[pytest.Item]:
        """A test for each check of each component."""
        return [
            ContractCheck.from_parent(
                self, name=f"{subject.component.name}[{check.name}]", subject=subject, check=check
            )
            for subject in self.found
            for check in subject.checks
        ]


class ContractCheck(pytest.Item):
    """One check of one component; skipped, with the reason, where it cannot be made."""

    def __init__(self, subject: Subject, check: Check, **rest: Any) -> None:
        super().__init__(**rest)
        self.subject = subject
        self.check = check

    def runtest(self) -> None:
        """Fails where the component does not keep the promise."""
        from composer.testing.trial import ContractError

        outcome = self.subject.outcome(self.check)
        if outcome.result == "not checked":
            pytest.skip(outcome.message)
        if outcome.result == "failed":
            raise ContractError(outcome.message)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The message alone: no line of a traceback is the component's."""
        from composer.testing.trial import ContractError

        return str(excinfo.value) if isinstance(excinfo.value, ContractError) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Which line the short summary shows."""
        return self.path, None, f"{self.subject.title}: {self.check.promise}"
