"""What options of a union are called in messages, on the command line and from Python."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """FILE stands for the checkpoint."""

    pictures: str
    test: str
    names: str
    naming: str
    say_which: str
    unlabelled: str
    independent: str


COMMAND = Words(
    pictures="--pictures",
    test="--test",
    names="--names FILE",
    naming="name them in their order, --names FILE=NAME,NAME,...",
    say_which="--architecture 'FILE={use: NAME, ...}'",
    unlabelled="--unlabelled takes",
    independent="--outputs independent",
)
PYTHON = Words(
    pictures="pictures",
    test="test",
    names="the names of FILE",
    naming="name them in their order, Classifier(..., names=[NAME, NAME, ...])",
    say_which="Classifier(..., architecture={'use': NAME, ...})",
    unlabelled="labelled=False takes",
    independent="outputs='independent'",
)
