"""Models fetched from and pushed to a Hugging Face hub on this machine.

The hub is a small HTTP server (`tests/hub.py`), so that huggingface_hub itself is at work: its cache, its errors, its
names. The address is put where it keeps HF_ENDPOINT, which it reads when it is imported.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import composer
from composer.command_line.cli import main
from composer.errors import ComposerError
from composer.models.at_hand import at_hand
from composer.results.model_card import complete
from composer_hub import names_repository
from composer_hub.repository import push
from hub import NEW, OLD, TOKEN, Hub, local_hub
from saved_run import saved_run

huggingface_hub = pytest.importorskip("huggingface_hub")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and a cache, a token and a zoo of its own."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no_token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setenv("COMPOSER_ZOO", str(tmp_path / "zoo"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with local_hub() as hub:
        be_the_hub(hub, monkeypatch)
        yield hub


def be_the_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with cards."""
    saved_run(tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    for name in report["compositions"]:
        complete(tmp_path / "run" / "models" / name, report, name)
    return tmp_path / "run"


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def call(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, arguments, prog_name="composer")
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def test_a_model_is_fetched_once_and_used_without_a_network_then(run: Path, hub: Hub) -> None:
    hub.put("user/both", {**files(run / "models" / "product"), "large.bin": b"0" * 9})
    model = composer.load("user/both")
    assert (model.composition, model.target) == ("product", "black+cat")
    assert not any("large.bin" in asked and "resolve" in asked for asked in hub.asked), "only what composer needs"
    fetched = sum(asked.startswith("GET") and "resolve" in asked for asked in hub.asked)
    composer.load("user/both")
    assert sum(asked.startswith("GET") and "resolve" in asked for asked in hub.asked) == fetched


def test_what_was_fetched_is_used_where_the_hub_cannot_be_reached(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_hub() as hub:
        be_the_hub(hub, monkeypatch)
        hub.put("user/both", files(run / "models" / "product"))
        composer.load("user/both")
    assert composer.load("user/both").composition == "product"
    with pytest.raises(ComposerError, match=r"user/other: .*hub cannot be reached .*used without a network"):
        composer.load("user/other")


def test_a_revision_is_the_one_that_was_asked_for(run: Path, hub: Hub) -> None:
    hub.put("user/both", files(run / "models" / "product"))
    hub.put("user/both", files(run / "models" / "parents.black"), NEW)
    assert composer.load("user/both", revision=OLD).composition == "product"
    assert composer.load("user/both").composition == "parents.black"
    with pytest.raises(ComposerError, match="user/both: has no revision 'v9' on the Hugging Face hub"):
        composer.load("user/both", revision="v9")
    with pytest.raises(ComposerError, match="is a path here, and a revision is of a repository"):
        composer.load(run, revision=OLD)


def test_a_path_here_wins_and_so_does_any_path_whose_first_part_is_here(here: Path, run: Path, hub: Hub) -> None:
    hub.put("user/both", files(run / "models" / "product"))
    (here / "user").mkdir()
    (run / "models" / "parents.black").rename(here / "user" / "both")
    assert composer.load("user/both").composition == "parents.black"
    with pytest.raises(ComposerError, match="there is no such folder; give a run's folder"):
        composer.load("user/bot")
    with pytest.raises(ComposerError, match="there is no such folder; give a run's folder"):
        composer.load("runs/black_cat")
    assert not hub.asked
    names = ("a/b", "a-1/b.c_2", "a", "a/b/c", "/a/b", "../a", "a/cat.pth", "a/", "https://a/b")
    assert [name for name in names if names_repository(name)] == ["a/b", "a-1/b.c_2"]


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (None, "no such model on the Hugging Face hub that you may read"),
        ({"README.md": b""}, "holds no config.json on the Hugging Face hub: it is no model that composer made"),
        (
            {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"0"},
            "describes no model that composer made",
        ),
        ({"config.json": b"[]"}, "describes no model that composer made"),
        ({"config.json": b"{"}, "describes no model that composer made"),
    ],
)
def test_what_is_no_model_of_composers_is_said_before_its_weights_are_fetched(
    held: dict[str, bytes] | None, said: str, hub: Hub
) -> None:
    if held is not None:
        hub.put("user/other", held)
    with pytest.raises(ComposerError, match=f"user/other: .*{said}"):
        at_hand("user/other")
    assert not any("model.safetensors" in asked for asked in hub.asked)


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("composer_hub.repository.find_spec", lambda name: None)
    with pytest.raises(ComposerError, match=r"user/both: there is no such folder here; .*pip install -e '\.\[hub\]'"):
        at_hand("user/both")
    assert importlib.util.find_spec("huggingface_hub") is not None, "here it is installed"


def test_what_is_pushed_is_what_is_loaded_again(run: Path, hub: Hub) -> None:
    before = files(run / "models" / "product")
    said = call("push", str(run), "user/black-cat", "--composition", "product", "--licence", "MIT")
    assert f"{hub.endpoint}/user/black-cat load it with composer.load" in said
    pushed = hub.repositories["user/black-cat"][NEW]
    assert set(pushed) == {"README.md", "config.json", "model.safetensors"}
    assert {name: pushed[name] for name in pushed if name != "README.md"} == {
        name: content for name, content in before.items() if name != "README.md"
    }
    assert files(run / "models" / "product") == before, "nothing changes here"
    assert "user/black-cat" not in hub.private
    assert hub.validated == [pushed["README.md"].decode()]
    Image.new("RGB", (30, 20), "black").save("photo.jpg")
    assert json.loads(_json(call("predict", "user/black-cat", "photo.jpg", "--json", "--revision", NEW)))


def _json(said: str) -> str:
    return said[said.index("{") : said.rindex("}") + 1]


def test_a_pushed_card_names_the_repository_and_the_licence_and_the_hub_reads_its_scores(run: Path, hub: Hub) -> None:
    push(run, "user/black-cat", "product", licence="MIT")
    text = hub.repositories["user/black-cat"][NEW]["README.md"].decode()
    assert 'composer.load("user/black-cat")' in text
    assert "composer predict user/black-cat photo.jpg" in text
    assert "path/to/this/folder" not in text
    assert "## Licence\n\nMIT\n" in text
    card = huggingface_hub.ModelCard(text)
    assert card.data.license == "mit"
    (first, *_) = card.data.eval_results
    assert (first.metric_type, first.metric_value) == ("auc", 0.9)
    assert first.metric_name == "AUC (95 % interval 0.870 to 0.930)"
    assert first.dataset_name == "20 test pictures of the recipe small (5 black+cat, 5 black, 5 cat, 5 none)"
    push(run / "models" / "product", "user/black-cat", licence="ask me first")
    card = huggingface_hub.ModelCard(hub.repositories["user/black-cat"][NEW]["README.md"].decode())
    assert (card.data.license, card.data.license_name) == ("other", "ask me first")


def test_a_private_repository_is_made_so_and_a_public_one_is_not_taken_for_one(run: Path, hub: Hub) -> None:
    push(run, "user/mine", "product", private=True)
    assert hub.private == {"user/mine"}
    hub.put("user/open", {})
    with pytest.raises(ComposerError, match="user/open: is there already, and public; nothing was pushed"):
        push(run, "user/open", "product", private=True)
    assert list(hub.repositories["user/open"]) == [OLD]


@pytest.mark.parametrize(
    ("token", "repository", "said"),
    [
        (
            "",
            "user/black-cat",
            "user/black-cat: nobody is signed in to the Hugging Face hub; sign in by `hf auth login`",
        ),
        ("hf_read", "user/black-cat", "the Hugging Face hub refuses: .*your token must be one that may write"),
        (TOKEN, "black-cat", "black-cat: is no name of a repository; give user/repo"),
        (TOKEN, "a/b/c", "a/b/c: is no name of a repository; give user/repo"),
        (TOKEN, "user/a--b", "user/a--b: is no name of a repository: "),
    ],
)
def test_a_push_that_cannot_be_says_why(
    token: str, repository: str, said: str, run: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ComposerError, match=said):
        push(run, repository, "product")
    assert not hub.repositories


def test_a_card_that_was_changed_by_hand_is_pushed_as_it_is_or_refused(run: Path, hub: Hub) -> None:
    card = run / "models" / "product" / "README.md"
    whole = card.read_text(encoding="utf-8")
    card.write_text(whole.replace("license: unknown", "license: nonsense"), encoding="utf-8")
    with pytest.raises(ComposerError, match=r"this failed: Invalid metadata in README.md. - .license. must be one of"):
        push(run, "user/black-cat", "product")
    card.write_text("---\n[\n---\n", encoding="utf-8")
    with pytest.raises(ComposerError, match=r"README\.md: "):
        push(run, "user/black-cat", "product")
    card.unlink()
    push(run, "user/black-cat", "product")
    text = hub.repositories["user/black-cat"][NEW]["README.md"].decode()
    assert huggingface_hub.ModelCard(text).data.license == "unknown"


def test_a_network_of_the_hub_becomes_a_concept_of_the_zoo_with_where_it_came_from(run: Path, hub: Hub) -> None:
    push(run, "user/black-cat", "product", licence="cc-by-4.0")
    call("zoo", "add", "user/black-cat", "--concept", "cat")
    cat = composer.Zoo()["cat"]
    assert cat.source == f"user/black-cat of the Hugging Face hub, commit {NEW}"
    assert cat.licence == "cc-by-4.0"
    push(cat.folder, "user/cat")
    assert set(hub.repositories["user/cat"][NEW]) == {"README.md", "config.json", "model.safetensors", "concept.json"}
    call("zoo", "remove", "cat")
    again = composer.Zoo().add("cat", "user/cat")
    assert again.licence == "cc-by-4.0"
    assert again.source.startswith("user/cat of")


def test_export_and_inspect_take_a_repository_too(run: Path, hub: Hub) -> None:
    hub.put("user/both", files(run / "models" / "product"))
    call("export", "user/both", "--format", "safetensors", "--output", "copy", "--revision", OLD)
    assert composer.load("copy").composition == "product"
    assert "composition product, 3 members" in call("inspect", "user/both")
