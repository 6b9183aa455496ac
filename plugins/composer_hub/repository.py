"""Repositories of the Hugging Face hub: fetched once, and pushed to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from composer import ComposerError, __version__, open_model, published_card
from composer_hub import REPOSITORY

CONFIG, CARD = "config.json", "README.md"
FILES = (CONFIG, "model.safetensors", CARD, "concept.json")
"""All that is fetched and pushed: none can hold code, and the pictures that a zoo keeps stay where they are."""
EXTRA = "pip install -e '.[hub]' in composer's own folder"
SIGN_IN = "`hf auth login`, or the environment variable HF_TOKEN"


@dataclass(frozen=True)
class Pushed:
    """Where a model was pushed to; revision: the commit, which never changes."""

    url: str
    revision: str


def push(
    folder: str | Path,
    repository: str,
    composition: str | None = None,
    *,
    private: bool = False,
    licence: str = "",
) -> Pushed:
    """Puts a model's folder, or one composition of a run, into a repository of the hub, which is made where it is new.

    The card says how to load it from there and, where one is given, its licence; the folder here stays as it is.
    ComposerError where nobody is signed in, the hub refuses, or a private one is asked for and it is public.
    """
    with open_model(Path(folder), composition) as home:
        if REPOSITORY.fullmatch(repository) is None:
            raise ComposerError(f"{repository}: is no name of a repository; give user/repo")
        _require_extra(f"pushing to {repository}")
        return _pushed(home, repository, private, licence)


def fetched(repository: str, revision: str | None = None) -> Path:
    """The folder that a repository was fetched to; what was fetched before is used where there is no network.

    revision: branch, tag or commit; left out, the newest. ComposerError where it cannot be fetched or is no composer's.
    """
    _require_extra(f"{repository}: there is no such folder here; to look for it on the Hugging Face hub")
    from huggingface_hub import HfApi  # takes a moment, and is an extra

    api = HfApi(library_name="composer", library_version=__version__)
    with _refusals(repository, revision):
        # hf_hub_download would try for half a minute where there is no network.
        first = Path(api.snapshot_download(repository, revision=revision, allow_patterns=[CONFIG]))
        _require_ours(repository, first / CONFIG)  # before files of gigabytes are fetched
        return Path(api.snapshot_download(repository, revision=first.name, allow_patterns=list(FILES)))


def _require_ours(repository: str, config: Path) -> None:
    if not config.is_file():
        raise ComposerError(
            f"{repository}: holds no {CONFIG} on the Hugging Face hub: it is no model that composer made"
        )
    try:
        ours = json.loads(config.read_text(encoding="utf-8")).get("type") == "ComposedModel"
    except (ValueError, AttributeError):
        ours = False
    if not ours:
        raise ComposerError(f"{repository}: its {CONFIG} on the Hugging Face hub describes no model that composer made")


def _pushed(home: Path, repository: str, private: bool, licence: str) -> Pushed:
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if get_token() is None:
        raise ComposerError(
            f"{repository}: nobody is signed in to the Hugging Face hub; sign in by {SIGN_IN}, with a token that may "
            "write (https://huggingface.co/settings/tokens)"
        )
    api = HfApi(library_name="composer", library_version=__version__)
    with _refusals(repository):
        url = str(api.create_repo(repository, private=private or None, exist_ok=True))
        if private and not api.repo_info(repository).private:
            raise ComposerError(f"{repository}: is there already, and public; nothing was pushed")
        added = [CommitOperationAdd(name, home / name) for name in FILES if name != CARD and (home / name).is_file()]
        card = published_card(home / CARD, repository, licence)
        added.append(CommitOperationAdd(CARD, card.encode()))
        done = api.create_commit(repository, added, commit_message=f"Push by composer {__version__}")
        return Pushed(url, done.oid)


def _require_extra(what: str) -> None:
    if find_spec("huggingface_hub") is None:
        raise ComposerError(f"{what} needs the package huggingface_hub: {EXTRA}")


@contextmanager
def _refusals(repository: str, revision: str | None = None) -> Iterator[None]:
    """Says in one sentence why the hub did not do what it was asked for."""
    from huggingface_hub import errors

    # The errors of the library that it speaks HTTP by, which is another in each of its versions.
    bases: tuple[type[Any], ...] = errors.HfHubHTTPError.__bases__
    failures: tuple[type[Exception], ...] = (*bases, OSError, ValueError)  # a card that the hub refuses is a ValueError
    try:
        yield
    except errors.GatedRepoError as error:
        raise ComposerError(f"{repository}: is on the Hugging Face hub for those alone who asked for it") from error
    except errors.RepositoryNotFoundError as error:
        raise ComposerError(
            f"{repository}: there is no such folder here, and no such model on the Hugging Face hub that you may read; "
            f"a private one needs {SIGN_IN}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ComposerError(f"{repository}: has no revision {revision!r} on the Hugging Face hub") from error
    except errors.HFValidationError as error:
        raise ComposerError(f"{repository}: is no name of a repository: {one_line(error)}") from error
    except errors.LocalEntryNotFoundError as error:
        raise ComposerError(
            f"{repository}: there is no such folder here, and the Hugging Face hub cannot be reached "
            f"({one_line(error.__cause__ or error)}); what was fetched once is used without a network"
        ) from error
    except errors.HfHubHTTPError as error:
        code = error.response.status_code if error.response is not None else 0
        hint = f"; your token must be one that may write: {SIGN_IN}" if code in (401, 403) else ""
        raise ComposerError(f"{repository}: the Hugging Face hub refuses: {one_line(error)}{hint}") from error
    except failures as error:
        raise ComposerError(f"{repository}: on the Hugging Face hub this failed: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split())
