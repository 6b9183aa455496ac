"""What is kept is what was stored; one run at a time works in a folder; what disks refuse is a sentence."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import composer
from composer import ComposerError, Images, Population
from composer.data.files import clear_parts, machine, part_of, read_part, refused, write_json, writing
from composer.data.records import JudgedModels
from composer.running.cache import StageCache
from composer.running.code import core_digest, packages_digest
from composer.running.last_run import LAST, recall, remember
from composer.running.locking import COMING, STORE_LOCK, changing, put_in_place, reading, run_lock
from composer.running.storage import FolderKeeper, keep_tensors, kept_tensors, write_tensors
from conftest import TINY
from saved_run import report, saved_run
from tiny import tiny_images, tiny_population

KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def cache(tmp_path: Path) -> StageCache:
    """A cache with two populations."""
    made = StageCache(tmp_path / "stages")
    made.store("population.cat", KEY, tiny_population("cat"), {"warnings": ["few"]}, {})
    made.store("population.cat", OTHER, tiny_population("cat", seed=1), {"warnings": []}, {})
    return made


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


def relabel(file: Path) -> None:
    facts = json.loads(file.read_text())
    facts["members"].reverse()
    file.write_text(json.dumps(facts))


def swap(home: Path) -> None:
    other = home.with_name(f"population.cat-{OTHER[:16]}")
    aside = home.with_name("aside")
    home.rename(aside)
    other.rename(home)
    aside.rename(other)


def link(home: Path) -> None:
    shutil.rmtree(home)
    home.symlink_to(home.with_name(f"population.cat-{OTHER[:16]}"))


def file_in_place(home: Path) -> None:
    shutil.rmtree(home)
    home.write_text("in the way")


def folder_in_place(home: Path) -> None:
    (home / "data.safetensors").unlink()
    (home / "data.safetensors").mkdir()


def reshape(home: Path) -> None:
    write_tensors(home / "data.safetensors", {"fc1.bias": torch.full((3, 9), float("nan"))})


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit": lambda home: flip(home / "data.safetensors"),
    "NaN in another shape": reshape,
    "other labels": lambda home: relabel(home / "data.json"),
    "a forged record": lambda home: (home / "stage.json").write_text(json.dumps({"key": KEY, "warnings": []})),
    "broken JSON": lambda home: (home / "stage.json").write_text('{"key": '),
    "a list for a record": lambda home: (home / "stage.json").write_text("[1]"),
    "no bytes": lambda home: (home / "data.json").write_bytes(b"\xff\xfe\x00"),
    "a missing file": lambda home: (home / "data.safetensors").unlink(),
    "a folder for a file": folder_in_place,
    "another stage's folder": swap,
    "a link to another stage": link,
    "a file for a folder": file_in_place,
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_stage_is_not_read_but_named_and_stored_again(
    cache: StageCache, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    home = cache.path("population.cat", KEY)
    before = cache.load("population.cat", KEY)
    assert isinstance(before, Population)
    DAMAGES[damage](home)
    with caplog.at_level(logging.WARNING, "composer"):
        assert cache.load("population.cat", KEY) is None
    assert str(home) in caplog.text
    assert "damaged" in caplog.text
    cache.store("population.cat", KEY, before, {"warnings": ["few"]}, {})
    again = cache.load("population.cat", KEY)
    assert isinstance(again, Population)
    assert all(torch.equal(again.weights[name], before.weights[name]) for name in before.weights)


@pytest.mark.parametrize("name", ["data.safetensors", "data.json", "stage.json"])
def test_a_flipped_bit_is_noticed_wherever_it_lies(cache: StageCache, name: str) -> None:
    file = cache.path("population.cat", KEY) / name
    stored = file.read_bytes()
    for at in range(0, len(stored), 1 + len(stored) // 60):
        file.write_bytes(stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :])
        assert cache.load("population.cat", KEY) is None, f"byte {at} of {name}"
    file.write_bytes(stored)
    assert cache.load("population.cat", KEY) is not None


def test_a_broken_list_of_the_last_run_costs_nothing(tmp_path: Path) -> None:
    for content in ('{"a": ', "[]", '{"a": 1}', "[" * 100_000):
        (tmp_path / LAST).write_text(content)
        assert recall(tmp_path) == {}
    (tmp_path / LAST).unlink()
    (tmp_path / LAST).mkdir()
    assert recall(tmp_path) == {}
    remember(tmp_path, {"a": {"b": 1}})
    assert recall(tmp_path) == {"a": {"b": 1}}


def test_a_broken_figure_costs_nothing_but_itself(tmp_path: Path) -> None:
    from composer.data.figures import Lines

    cache = StageCache(tmp_path)
    figure = Lines("Loss", {"loss": [2.0, 1.0]}, "epoch", "loss")
    home = cache.store("population.cat", KEY, tiny_population("cat"), {}, {"loss": figure})
    assert cache.figures("population.cat", KEY) == {"loss": figure}
    (home / "figures.json").write_text("{")
    assert cache.figures("population.cat", KEY) == {}
    assert cache.load("population.cat", KEY) is not None


def test_kept_features_that_are_damaged_or_another_file_are_computed_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = tmp_path / "features-1.safetensors", tmp_path / "features-2.safetensors"
    keep_tensors(one, {"features": torch.ones(2, 3)})
    keep_tensors(two, {"features": torch.zeros(2, 3)})
    assert torch.equal((kept_tensors(one) or {})["features"], torch.ones(2, 3))
    two.replace(one)
    assert kept_tensors(one) is None
    assert "features-1.safetensors: damaged" in caplog.text
    assert not one.exists()


def test_pixels_kept_beside_a_stage_are_compared_too(tmp_path: Path) -> None:
    images = tiny_images()
    (tmp_path / STORE_LOCK).touch()
    (tmp_path / "images").mkdir()
    images.keeper = FolderKeeper(tmp_path / "images")
    right = images.at(8)
    flip(tmp_path / "images" / "size-8.safetensors")
    again = Images(images.names, images.labels, images.at(16))
    again.keeper = images.keeper
    assert torch.equal(again.at(8), right)


def test_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_tensors(tmp_path / "a.safetensors", {"a": torch.ones(2)})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.safetensors").stat().st_mode) == 0o640


# -- one run at a time -------------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from composer.running.locking import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_held_until_its_process_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(ComposerError, match=rf"another run is working in .* \(pid {holder.pid}, "),
            run_lock(tmp_path, wait=False),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
    with run_lock(tmp_path, wait=False):
        pass


def test_a_second_run_says_that_it_waits_and_then_goes_on(tmp_path: Path) -> None:
    second = HOLD.replace("time.sleep(60)", "")
    with run_lock(tmp_path):
        waiting = subprocess.Popen(
            [sys.executable, "-c", second, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith(f"another run is working in {tmp_path} (pid {os.getpid()}, ")
        assert waiting.poll() is None
    said, _ = waiting.communicate(timeout=60)
    assert said == "held\n"


def test_results_are_put_in_place_even_if_their_run_was_killed_meanwhile(tmp_path: Path) -> None:
    for place, text in ((tmp_path, "old"), (tmp_path / "made", "new")):
        (place / "models" / text).mkdir(parents=True)
        (place / "report.json").write_text(text)
    with changing(tmp_path):
        pass
    (tmp_path / "made").rename(tmp_path / COMING)  # as a run that is killed here leaves it
    with reading(tmp_path):
        assert (tmp_path / "report.json").read_text() == "new"
        assert [file.name for file in (tmp_path / "models").iterdir()] == ["new"]
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "report.json").write_text("newest")
    put_in_place(tmp_path, tmp_path / "made")
    assert (tmp_path / "report.json").read_text() == "newest"
    assert not (tmp_path / COMING).exists()


@pytest.mark.parametrize("place", [".", "models/product"])
def test_a_model_is_loaded_when_new_results_are_in_place_not_meanwhile(tmp_path: Path, place: str) -> None:
    saved_run(tmp_path)
    loaded: list[object] = []
    with changing(tmp_path):
        reader = threading.Thread(target=lambda: loaded.append(composer.load(tmp_path / place)))
        reader.start()
        reader.join(0.5)
        assert not loaded, "somebody is changing the results"
    reader.join(60)
    assert len(loaded) == 1


def test_only_dead_parts_of_this_machine_are_cleared_away(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mine = part_of(tmp_path / "x")
    left = tmp_path / f".part-{machine()}-{dead.pid}-1"
    elsewhere = tmp_path / f".part-{'0' * 12}-{dead.pid}-1"
    for folder in (mine, left, elsewhere):
        folder.mkdir()
    clear_parts(tmp_path)
    assert set(tmp_path.iterdir()) == {mine, elsewhere}


@pytest.mark.slow
def test_four_runs_in_one_folder_all_succeed_and_leave_one_whole_run(
    recipe_file: Callable[[str], Path], tmp_path: Path
) -> None:
    recipe, folder = recipe_file(TINY), tmp_path / "run"
    command = [sys.executable, "-m", "composer", "run", str(recipe), "--output", str(folder), "--device", "cpu"]
    runs = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [run.wait() for run in runs] == [0, 0, 0, 0]
    from composer.results.verification import verify

    assert verify(folder).whole


# -- the key -----------------------------------------------------------------------------------


def test_the_key_covers_the_core_but_what_only_shows_results(tmp_path: Path) -> None:
    core = tmp_path / "composer"
    shutil.copytree(Path(composer.__file__).parent, core, ignore=shutil.ignore_patterns("__pycache__"))
    decide = (
        "networks/architecture.py",
        "data/expressions.py",
        "models/network_weights.py",
        "networks/state_file.py",
        "running/plan.py",
        "data/run.py",
        "judging/gain.py",
    )
    before = core_digest.__wrapped__(core)
    for name in decide:
        (core / name).write_text((core / name).read_text() + "\n# edited\n")
        after = core_digest.__wrapped__(core)
        assert after != before, name
        before = after
    for name in ("command_line/cli.py", "page/table.py"):
        (core / name).write_text("# edited")
    assert core_digest.__wrapped__(core) == before


def test_the_key_covers_a_plugin_its_data_and_the_plugins_that_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, source in (
        ("composer_xa", "def f():\n    from composer_xb import names\n"),
        ("composer_xb", "names = 1\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(source)
    seen = [packages_digest.__wrapped__("composer_xa")]
    for file in ("composer_xa/helper.py", "composer_xa/words.txt", "composer_xb/__init__.py", "composer_xb/words.txt"):
        (tmp_path / file).write_text("# edited\n")
        seen.append(packages_digest.__wrapped__("composer_xa"))
    assert len(set(seen)) == len(seen)


# -- records edited by hand, and disks ----------------------------------------------------------


def spoil(content: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("/")
    for key in parents:
        content = content[key]
    content[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("compositions", []),
        ("compositions/product", None),
        ("compositions/product/control", "no"),
        ("compositions/product/members", "three"),
        ("compositions/product/scores/recognition.auc/picked", "high"),
        ("compositions/product/scores/recognition.auc/picked_member", 3),
        ("compositions/product/scores/recognition.auc/interval", [1.0]),
        ("concepts", "black"),
        ("seed", None),
    ],
)
def test_a_report_edited_by_hand_is_refused_in_a_sentence(tmp_path: Path, path: str, value: Any) -> None:
    content = report({"product": tiny_population("cat")})  # type: ignore[dict-item]
    file = tmp_path / "report.json"
    write_json(file, content)
    assert read_part(file, JudgedModels) == content
    spoil(content, path, value)
    write_json(file, content)
    with pytest.raises(ComposerError, match=r"report\.json: damaged: .*run its recipe again"):
        read_part(file, JudgedModels)


@pytest.mark.parametrize("text", ["", '{"name": ', "[]", '{"seed": NaN}', "[" * 100_000, "\x00"])
def test_a_report_that_was_cut_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ComposerError, match=r"report\.json: damaged: "):
        read_part(tmp_path / "report.json", JudgedModels)


LARGE = """
import resource, sys, signal, torch
from pathlib import Path
from composer.data.files import write_text
from composer.running.storage import write_tensors
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for write in (lambda f: write_tensors(f, {"a": torch.ones(9999)}), lambda f: write_text(f, "a" * 9999)):
    try:
        write(Path(sys.argv[1]))
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_a_file_that_the_system_refuses_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LARGE, str(tmp_path / "file")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(said) == 2
    for line in said:
        assert line.startswith(f"ComposerError {tmp_path}")
        assert "File too large; larger files are not allowed here" in line
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_says_what_to_free_and_a_folder_that_went_that_it_went(tmp_path: Path) -> None:
    full = refused(tmp_path / "data.safetensors", OSError(28, "No space left on device"))
    assert "No space left on device; free space on that disk" in str(full)
    cache = StageCache(tmp_path / "stages")
    shutil.rmtree(tmp_path / "stages")
    with pytest.raises(ComposerError, match="was moved or deleted while composer worked"):
        cache.store("population.cat", KEY, tiny_population("cat"), {}, {})
    with pytest.raises(ValueError, match="a bug"), writing(tmp_path):
        raise ValueError("a bug stays a bug")
