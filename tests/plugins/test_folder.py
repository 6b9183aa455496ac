"""Pictures in folders: what is read, what is refused, and what is said about it."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from composer import ComposerError, Images, Run, Split
from composer.data.decoding import FileDecoder, UnreadablePictureError, read_picture
from composer_folder import Folder

CONCEPTS = ("black", "cat")
TEST = Split(CONCEPTS)
BLACK = Split(CONCEPTS, "black")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")


def noise(seed: int, height: int = 6, width: int = 8) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int = 40, width: int = 60) -> Image.Image:
    """Another colour in every corner, so that turning and cutting show."""
    corners = Image.fromarray(np.array([[[250, 20, 20], [20, 250, 20]], [[20, 20, 250], [240, 240, 240]]], np.uint8))
    return corners.resize((width, height), Image.Resampling.BILINEAR)


def fill(folder: Path, count: int, seed: int) -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.fromarray(noise(100 * seed + index)).save(folder / f"{index}.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve pictures to train each concept from, and twelve to test on, all different."""
    kinds = ["train/black/yes", "train/black/no", "train/cat/yes", "train/cat/no"]
    for seed, folder in enumerate([*kinds, "test/black+cat", "test/black", "test/cat", "test/none"]):
        fill(tmp_path / folder, 6 if folder.startswith("train") else 3, seed)
    return tmp_path


def source(root: Path, **options: Any) -> Folder:
    return Folder.model_validate(options, context={"root": root})


def load(root: Path, split: Split = TEST, **options: Any) -> tuple[Images, list[str]]:
    run = Run()
    return source(root, **options).load(split, run), run.warnings


def said(root: Path, split: Split = TEST, **options: Any) -> list[str]:
    return [f"{option}: {message}" for option, message in source(root, **options).split_problems(split)]


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def reason(path: Path) -> str:
    """Why a file is refused; the message has to name it."""
    with pytest.raises(UnreadablePictureError) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, ComposerError)
    return caught.value.reason


# -- what is loaded --------------------------------------------------------------------------


def test_training_pictures_are_labelled_by_their_folder(root: Path) -> None:
    images, warnings = load(root, BLACK)
    assert images.names[:2] == ("black/yes/0.png", "black/yes/1.png")
    assert images.names[-1] == "black/no/5.png"
    assert images.concepts == ("black",)
    assert images.labels["black"].tolist() == [True] * 6 + [False] * 6
    assert warnings == []


def test_test_pictures_are_labelled_by_their_cell(root: Path) -> None:
    images, warnings = load(root)
    assert images.names[0] == "black+cat/0.png"
    assert images.labels["black"].tolist() == [True] * 6 + [False] * 6
    assert images.labels["cat"].tolist() == ([True] * 3 + [False] * 3) * 2
    assert images.cells == ("black+cat",) * 3 + ("black",) * 3 + ("cat",) * 3 + ("none",) * 3
    assert warnings == []


def test_a_cell_may_name_its_concepts_in_any_order_and_have_two_folders(root: Path) -> None:
    fill(root / "test/cat+black", 2, 50)
    images, _ = load(root)
    assert images.cells.count("black+cat") == 5
    assert images.names[3] == "cat+black/0.png"


def test_three_concepts_have_eight_cells(root: Path) -> None:
    fill(root / "test/cat+small+black", 2, 50)
    fill(root / "test/small", 1, 51)
    images, warnings = load(root, Split(("small", "black", "cat")))
    assert images.target.sum() == 2
    assert images.labels["small"].sum() == 3
    assert images.cells[0] == "small+black+cat"
    (warning,) = warnings
    assert "small+black, small+cat" in warning


def test_pictures_are_squashed_as_pillow_does_bilinear_and_antialiased(root: Path) -> None:
    images, _ = load(root)
    for size in (4, 32):
        pixels = images.at(size)
        assert pixels.dtype == torch.uint8
        assert pixels.shape == (12, 3, size, size)
        expected = Image.fromarray(noise(400)).resize((size, size), Image.Resampling.BILINEAR)
        assert np.array_equal(pixels[0].permute(1, 2, 0).numpy(), np.asarray(expected))


def test_the_size_asked_for_first_is_made_while_loading_and_others_from_the_files(root: Path) -> None:
    images, _ = load(root, size=8)
    victim = root / "test" / images.names[4]
    victim.unlink()
    assert images.at(8).shape[-1] == 8
    with pytest.raises(ComposerError, match=f"{victim.name}: cannot be read as a picture: no such file"):
        images.at(9)


def test_a_decoder_made_anew_from_its_files_gives_the_same_pixels(root: Path) -> None:
    images, _ = load(root, size=8, alpha="drop")
    assert isinstance(images.decode, FileDecoder)
    again = FileDecoder(images.decode.files, images.decode.alpha)
    assert again == images.decode
    assert torch.equal(again(8), images.at(8))
    assert all(Path(file).is_absolute() for file in again.files)
    assert FileDecoder(())(8).shape == (0, 3, 8, 8)


def test_pictures_within_folders_within_folders_and_links_are_found_in_name_order(root: Path) -> None:
    fill(root / "elsewhere", 2, 60)
    fill(root / "test/none/deep/deeper", 1, 61)
    (root / "test/none/linked").symlink_to(root / "elsewhere", target_is_directory=True)
    (root / "test/none/loop").symlink_to(root / "test/none", target_is_directory=True)
    images, warnings = load(root)
    assert [name for name in images.names if name.startswith("none")] == [
        "none/0.png",
        "none/1.png",
        "none/2.png",
        "none/deep/deeper/0.png",
        "none/linked/0.png",
        "none/linked/1.png",
    ]
    assert warnings == []


def test_hidden_files_are_left_out_silently_and_other_files_with_a_warning(root: Path) -> None:
    (root / "test/.DS_Store").write_bytes(b"x")
    (root / "test/none/.0.png").write_bytes(b"x")
    (root / "test/none/.thumbnails").mkdir()
    (root / "test/none/.thumbnails/0.png").write_bytes(b"x")
    assert load(root)[1] == []
    (root / "test/none/notes.txt").write_text("x")
    (root / "test/README.md").write_text("x")
    images, (warning,) = load(root)
    assert len(images) == 12
    assert "2 (none/notes.txt, README.md)" in warning
    (root / "train/black/maybe").mkdir()
    assert "1 (black/maybe)" in load(root, BLACK)[1][0]


def test_ignored_names_are_left_out_everywhere(root: Path) -> None:
    fill(root / "test/none/thumbnails", 1, 60)
    fill(root / "test/extra", 1, 61)
    (root / "test/none/notes.txt").write_text("x")
    images, warnings = load(root, ignore=["thumb*", "extra", "*.txt", "1.png"])
    assert sorted(set(images.names)) == sorted(f"{cell}/{n}.png" for cell in set(images.cells) for n in (0, 2))
    assert warnings == []


@pytest.mark.parametrize(
    ("limit", "kept"), [(1, [0]), (2, [0, 3]), (4, [0, 1, 3, 4]), (6, [0, 1, 2, 3, 4, 5]), (9, [0, 1, 2, 3, 4, 5])]
)
def test_a_limit_takes_evenly_spaced_pictures_of_each_folder(root: Path, limit: int, kept: list[int]) -> None:
    images, _ = load(root, BLACK, limit=limit)
    assert images.names == tuple(f"black/{answer}/{n}.png" for answer in ("yes", "no") for n in kept)


def test_progress_is_told(root: Path) -> None:
    told: list[tuple[str, int, int]] = []
    source(root).load(TEST, Run(report_progress=lambda *step: told.append(step)))
    assert told[0] == ("reading pictures", 0, 12)
    assert told[-1] == ("reading pictures", 12, 12)


# -- kinds of pictures -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{kind.lower()}"
    path.write_bytes(encoded(smooth(), kind))
    picture = read_picture(path)
    assert picture.mode == "RGB"
    assert picture.size == (60, 40)
    difference = np.abs(np.asarray(picture, dtype=int) - np.asarray(smooth(), dtype=int))
    assert difference.mean() < 12, "GIF has 256 colours, JPEG and WebP lose a little, the others nothing"


@pytest.mark.parametrize("name", ["a.JPG", "a.jpeg", "a.Tif", "a.jfif", "a.WebP", "a.GIF", "a.bmp", "wrong.png"])
def test_capitals_in_endings_do_not_matter_and_the_content_tells_the_format(name: str, root: Path) -> None:
    (root / "test/none" / name).write_bytes(encoded(smooth(), "JPEG"))
    images, warnings = load(root)
    assert f"none/{name}" in images.names
    assert warnings == []


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_of_several_frames_the_first_is_taken(kind: str, tmp_path: Path) -> None:
    red, blue = Image.new("RGB", (9, 9), (250, 0, 0)), Image.new("RGB", (9, 9), (0, 0, 250))
    path = tmp_path / "picture"
    path.write_bytes(encoded(red, kind, save_all=True, append_images=[blue]))
    assert np.allclose(np.asarray(read_picture(path)), (250, 0, 0), atol=4)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(kind: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "picture"
    path.write_bytes(encoded(smooth(), kind, exif=exif))
    with Image.open(path) as picture:
        expected = ImageOps.exif_transpose(picture)
    assert expected.size == ((60, 40) if orientation < 5 else (40, 60))
    assert read_picture(path).tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_data_do_not_spoil_a_sound_picture(kind: str, tmp_path: Path) -> None:
    plain = read_picture(put(tmp_path / "plain", encoded(smooth(), kind)))
    for damaged in (b"Exif\0\0MM\0*\0\0\xff\xff", b"Exif\0\0MM\0*", b"Exif\0\0nonsense"):
        path = put(tmp_path / "damaged", encoded(smooth(), kind, exif=damaged))
        assert read_picture(path).tobytes() == plain.tobytes(), damaged


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def half_red(mode: str) -> bytes:
    """PNG of one pixel: red (or grey 100) of which half (or all, where a mode has no half) shows white paper."""
    red = Image.new("RGBA", (1, 1), (200, 0, 0, 128))
    match mode:
        case "RGBA":
            return encoded(red, "PNG")
        case "LA":
            return encoded(Image.merge("LA", (Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 128))), "PNG")
        case "P":
            return png(1, 1, 8, 3, b"\0\0", (b"PLTE", bytes([200, 0, 0])), (b"tRNS", b"\x80"))
        case "RGB":
            return png(1, 1, 8, 2, b"\0\xc8\0\0", (b"tRNS", struct.pack(">HHH", 200, 0, 0)))
        case "L":
            return png(1, 1, 8, 0, b"\0\x64", (b"tRNS", struct.pack(">H", 100)))
        case "1":
            return png(1, 1, 1, 0, b"\0\0", (b"tRNS", struct.pack(">H", 0)))
        case "I;16":
            return png(1, 1, 16, 0, b"\0\x64\x01", (b"tRNS", struct.pack(">H", 0x6401)))
    raise ValueError(mode)


@pytest.mark.parametrize(
    ("mode", "white", "drop"),
    [
        ("RGBA", (227, 127, 127), (200, 0, 0)),
        ("LA", (177, 177, 177), (100, 100, 100)),
        ("P", (227, 127, 127), (200, 0, 0)),
        ("RGB", (255, 255, 255), (200, 0, 0)),
        ("L", (255, 255, 255), (100, 100, 100)),
        ("1", (255, 255, 255), (0, 0, 0)),
        ("I;16", (255, 255, 255), (100, 100, 100)),
    ],
)
def test_transparency_goes_over_white_or_is_dropped(
    mode: str, white: tuple[int, int, int], drop: tuple[int, int, int], tmp_path: Path
) -> None:
    path = put(tmp_path / "picture.png", half_red(mode))
    assert read_picture(path, "white").getpixel((0, 0)) == pytest.approx(white, abs=1)
    assert read_picture(path, "drop").getpixel((0, 0)) == drop


def test_the_option_alpha_reaches_the_pixels(root: Path) -> None:
    put(root / "test/black+cat/0.png", half_red("RGBA"))
    dropped, over_white = load(root, alpha="drop")[0], load(root)[0]
    for size in (32, 20):  # decoded while loading, and later
        assert dropped.at(size)[0, :, 5, 5].tolist() == [200, 0, 0]
        assert over_white.at(size)[0, 0, 5, 5] > 220


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_brightness(kind: str, tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 0x7FFF, 0x8000, 0xFFFF]], dtype=np.uint16)
    path = put(tmp_path / "picture", encoded(Image.fromarray(values), kind))
    assert np.asarray(read_picture(path))[0, :, 0].tolist() == [0, 0, 1, 127, 128, 255]


def test_sixteen_bit_colour_keeps_its_brightness(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">HHH", 0xFFFF, 0x8000, 0)
    clear = (b"tRNS", struct.pack(">HHH", 0xFFFF, 0x8000, 1))  # another colour than the pixel's
    for extra in ([], [clear]):
        path = put(tmp_path / "picture.png", png(1, 1, 16, 2, rows, *extra))
        assert read_picture(path, "drop").getpixel((0, 0)) == (255, 128, 0)


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "1", "LAB"])
def test_other_colour_models_become_rgb(mode: str, tmp_path: Path) -> None:
    grey = Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode)
    path = put(tmp_path / "picture", encoded(grey, "TIFF"))
    picture = read_picture(path)
    assert picture.mode == "RGB"
    assert np.asarray(picture).min() > 250


def test_a_cmyk_jpeg_is_read(tmp_path: Path) -> None:
    path = put(tmp_path / "picture.jpg", encoded(Image.new("RGB", (9, 9), (200, 50, 50)).convert("CMYK"), "JPEG"))
    assert np.allclose(np.asarray(read_picture(path)), (200, 50, 50), atol=6)


def test_a_picture_of_one_pixel_fills_the_square(root: Path) -> None:
    Image.new("RGB", (1, 1), (7, 8, 9)).save(root / "test/black+cat/0.png")
    pixels = load(root)[0].at(16)[0]
    assert (pixels == torch.tensor([7, 8, 9], dtype=torch.uint8).view(3, 1, 1)).all()


# -- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7])
def test_truncated_pictures_are_refused_by_name(kind: str, part: float, tmp_path: Path) -> None:
    content = encoded(Image.fromarray(noise(0, 40, 60)), kind)
    assert reason(put(tmp_path / f"cut.{kind.lower()}", content[: int(part * len(content))]))


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_bytes_end_in_a_picture_or_in_a_refusal_by_name(kind: str, tmp_path: Path) -> None:
    content = encoded(Image.fromarray(noise(0, 20, 30)), kind)
    rng = np.random.default_rng(0)
    outcomes = []
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(0, min(len(content), 200), 5):
            damaged[place] = rng.integers(256)
        path = put(tmp_path / "damaged", bytes(damaged))
        try:
            outcomes.append(read_picture(path).mode)
        except UnreadablePictureError as error:
            outcomes.append(error.path)
    assert set(outcomes) <= {"RGB", str(tmp_path / "damaged")}
    assert outcomes.count("RGB") < 57, "the damage was not met"


def test_what_is_no_picture_is_refused_and_said_why(tmp_path: Path) -> None:
    assert reason(put(tmp_path / "empty.jpg", b"")) == "the file is empty"
    assert reason(put(tmp_path / "page.jpg", b"<html>not found</html>")).startswith("not a JPEG, PNG, WebP, BMP, GIF")
    assert reason(put(tmp_path / "vector.png", encoded(smooth(), "EPS"))).startswith("not a JPEG")
    assert reason(tmp_path / "absent.jpg") == "no such file"
    assert reason(tmp_path) == "not a file, or a dead link"
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(tmp_path / "pipe.jpg") == "not a file, or a dead link"
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert reason(tmp_path / "link.jpg") == "not a file, or a dead link"
    assert "32-bit" in reason(put(tmp_path / "fractions.tif", encoded(smooth().convert("F"), "TIFF")))
    assert "32-bit" in reason(put(tmp_path / "whole.tif", encoded(smooth().convert("I"), "TIFF")))


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (9_000, 9_000), (10_000, 9_500)])
def test_a_decompression_bomb_is_refused_without_filling_the_memory(width: int, height: int, tmp_path: Path) -> None:
    pack = zlib.compressobj()
    row = b"\0" * (1 + 3 * width)
    data = b"".join([*(pack.compress(row) for _ in range(height // 10)), pack.flush()])
    whole = png(width, height, 8, 2, b"").replace(zlib.compress(b""), data)
    path = put(tmp_path / "bomb.png", whole)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reason(path) == "more than 67 million pixels; shrink it"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024)
    assert grown < 60e6, f"{grown / 1e6:.0f} MB for a picture that is not read"


def test_a_few_unreadable_pictures_are_left_out_counted_and_named(root: Path) -> None:
    (root / "test/none/1.png").write_bytes(b"nonsense")
    images, (warning,) = load(root, unreadable=0.1)
    assert len(images) == 11
    assert "none/1.png" not in images.names
    assert images.at(32).shape[0] == images.at(20).shape[0] == 11
    assert "1 of 12 pictures of test cannot be read and are left out: none/1.png (not a JPEG" in warning


def test_more_unreadable_pictures_than_allowed_are_an_error_that_names_the_first(root: Path) -> None:
    for index in range(6):
        (root / f"train/black/yes/{index}.png").write_bytes(b"nonsense" if index else b"")
    with pytest.raises(ComposerError) as caught:
        load(root, BLACK)
    message = str(caught.value)
    assert "6 of 12 pictures of train.black cannot be read" in message
    assert "the share of 0.05 allowed" in message
    assert "black/yes/0.png (the file is empty), black/yes/1.png" in message
    assert "and 1 more" in message
    assert "raise `unreadable`" in message


def test_exactly_the_allowed_share_is_no_error(root: Path) -> None:
    for index in range(3):
        (root / f"train/black/yes/{index}.png").write_bytes(b"")
    assert len(load(root, BLACK, unreadable=0.25)[0]) == 9
    with pytest.raises(ComposerError, match="3 of 12"):
        load(root, BLACK, unreadable=0.24)


def test_a_class_without_a_readable_picture_is_an_error(root: Path) -> None:
    for path in (root / "train/black/yes").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ComposerError, match="no picture of 'black'"):
        load(root, BLACK, unreadable=1)
    for path in (root / "test/black+cat").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ComposerError, match=r"0 of 9 readable pictures show black\+cat"):
        load(root, unreadable=1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets names be any bytes")
def test_a_name_that_is_no_text_is_refused_and_can_be_printed(root: Path) -> None:
    with open(os.fsencode(root / "test/none") + b"/\xff.png", "wb") as file:  # noqa: PTH123  a Path cannot hold it readably
        file.write(encoded(smooth(), "PNG"))
    images, (warning,) = load(root, unreadable=0.1)
    assert len(images) == 12
    assert "none/?.png (its name is not UTF-8; rename it)" in warning
    assert len(list(source(root).split_files(TEST))) == 36


# -- what check sees -------------------------------------------------------------------------


def test_a_good_folder_has_no_problems(root: Path) -> None:
    assert said(root) == said(root, BLACK) == []
    assert list(source(root).problems(CONCEPTS)) == []


def test_paths_start_from_the_root_also_by_default(root: Path) -> None:
    assert source(root).train == root / "train"
    assert source(root, test="elsewhere").test == root / "elsewhere"
    assert source(root, test=str(root / "test")).test == root / "test"


@pytest.mark.parametrize(
    ("split", "change", "expected"),
    [
        (BLACK, "mv train Pictures", ["train: no folder {root}/train/black ({root} holds Pictures, test)"]),
        (BLACK, "rm train/black", ["train: no folder {root}/train/black ({root}/train holds cat)"]),
        (BLACK, "mv train/black train/Black", ["train: no folder {root}/train/black; did you mean 'Black'? "]),
        (BLACK, "mv train/black train/blck", ["did you mean 'blck'? ({root}/train holds blck, cat)"]),
        (BLACK, "rm train/black/no", ["train: no folder {root}/train/black/no ({root}/train/black holds yes); a"]),
        (BLACK, "mv train/black/yes train/black/Yes", ["{root}/train/black/yes; did you mean 'Yes'?"]),
        (BLACK, "empty train/black/yes", ["no pictures in {root}/train/black/yes: {root}/train/black/yes holds notes"]),
        (BLACK, "file train/black", ["train: {root}/train/black is a file, not a folder"]),
        (TEST, "mv test tests", ["no folder {root}/test; did you mean 'tests'? ({root} holds tests, train); it"]),
        (TEST, "file test", ["{root}/test is a file, not a folder; it has to hold a folder for each cell: bl"]),
        (TEST, "mv test/black test/blck", ["{root}/test/blck is no cell; did you mean 'black'? (cells: black+cat, "]),
        (TEST, "mv test/none test/other", ["{root}/test/other is no cell (cells: black+cat, black, cat, none; `ign"]),
        (TEST, "mv test/none test/NONE", ["is no cell; did you mean 'none'?"]),
        (TEST, "mv test/none test/black+black", ["black+black is no cell"]),
        (
            TEST,
            "mv test/black+cat test/Cat+blak",
            ["did you mean 'cat+black'?", "no folder {root}/test/black+cat, which has to show the target: {root}/test"],
        ),
        (TEST, "empty test/black+cat", ["test: no pictures in {root}/test/black+cat, which has to show the target"]),
        (TEST, "rm test/black test/cat test/none", ["no pictures of any cell but black+cat: {root}/test holds"]),
    ],
)  # fmt: skip
def test_a_wrong_layout_is_seen_before_any_work(root: Path, split: Split, change: str, expected: Sequence[str]) -> None:
    verb, *paths = change.split()
    if verb == "mv":
        (root / paths[0]).rename(root / paths[1])
    for path in paths if verb in ("rm", "file", "empty") else ():
        subprocess.run(["rm", "-r", str(root / path)], check=True)
        if verb == "file":
            (root / path).write_text("x")
        if verb == "empty":
            (root / path).mkdir()
            (root / path / "notes").write_text("x")
    problems = said(root, split)
    assert len(problems) == len(expected), problems
    for problem, part in zip(problems, expected, strict=True):
        assert part.format(root=root) in problem, problem
    with pytest.raises(ComposerError) as caught:
        load(root, split)
    assert str(caught.value) == "\n".join(problems)


def test_training_and_test_pictures_in_one_folder_are_a_problem(root: Path) -> None:
    (problem,) = source(root, test="train").problems(CONCEPTS)
    assert problem == ("test", f"is the same folder as `train`: {root / 'train'}")


def test_a_missing_cell_beside_the_target_is_a_warning(root: Path) -> None:
    for path in (root / "test/none").iterdir():
        path.unlink()
    assert said(root) == []
    images, (warning,) = load(root)
    assert "none" not in images.cells
    assert "no test pictures of none" in warning


def test_checking_opens_no_picture_and_imports_no_torch(root: Path) -> None:
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    program = f"""
import sys
from pathlib import Path
from composer import Split
from composer_folder import Folder
folder = Folder.model_validate({{}}, context={{"root": Path({str(root)!r})}})
assert not list(folder.problems(("black", "cat")))
assert not list(folder.split_problems(Split(("black", "cat"))))
assert len(list(folder.split_files(Split(("black", "cat"))))) == 36
print(*{{"torch", "numpy", "PIL"}} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=_environment()
    )
    assert done.stdout.strip() == ""


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.parametrize(
    "options", [{"unreadable": 1.5}, {"limit": 0}, {"alpha": "black"}, {"size": 0}, {"folder": "x"}]
)
def test_options_out_of_range_are_refused(root: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        source(root, **options)


# -- what the files give away ----------------------------------------------------------------


def test_files_are_all_pictures_that_can_be_opened(root: Path) -> None:
    (root / "test/none/notes.txt").write_text("x")
    (root / "test/none/.hidden.png").write_text("x")
    (root / "test/none/link.png").symlink_to(root / "nowhere.png")
    (root / "train/cat/maybe").mkdir()
    (root / "train/cat/maybe/0.png").write_bytes(b"x")
    files = list(source(root).split_files(TEST))
    assert len(files) == len(set(files)) == 36
    assert {path.relative_to(root).parts[0] for path in files} == {"train", "test"}
    assert len(list(source(root, limit=2).split_files(TEST))) == 16
    assert len(list(source(root, ignore=["cat"]).split_files(TEST))) == 21
    assert {path.relative_to(root).parts[0] for path in source(root).split_files(BLACK)} == {"train"}
    assert list(source(root, train="a", test="b").split_files(TEST)) == []


def test_training_pictures_among_the_test_pictures_are_a_warning(root: Path) -> None:
    (root / "test/black/9.png").write_bytes((root / "train/black/no/2.png").read_bytes())
    (root / "test/none/9.png").write_bytes((root / "train/black/yes/1.png").read_bytes())
    _, (warning,) = load(root)
    assert "2 of the 14 test pictures are also training pictures" in warning
    assert "the first is black/9.png, the same as black/no/2.png" in warning
    assert load(root, BLACK)[1] == []
    assert load(root, train="absent")[1] == []


def test_training_pictures_that_show_the_target_are_a_warning(root: Path) -> None:
    (root / "train/cat/yes/9.png").write_bytes((root / "train/black/yes/3.png").read_bytes())
    (root / "train/cat/no/9.png").write_bytes((root / "train/black/yes/4.png").read_bytes())
    _, (warning,) = load(root, BLACK)
    assert "1 pictures of train.black show black+cat" in warning
    assert "black/yes/3.png" in warning


def test_copies_are_told_by_content_and_not_by_size(root: Path) -> None:
    content = bytearray((root / "train/black/no/2.png").read_bytes())
    content[-1] ^= 1
    (root / "test/black/9.bmp").write_bytes(bytes(content))
    assert load(root, BLACK, unreadable=1)[1] == []


# -- real photographs ------------------------------------------------------------------------


def test_the_photographs_of_cats_and_dogs_are_loaded(shared: Path) -> None:
    catdog = shared / "catdog"
    if not catdog.is_dir():
        pytest.skip(f"no photographs: {catdog} is absent")
    images, warnings = load(catdog)
    assert warnings == []
    assert {cell: images.cells.count(cell) for cell in ("black+cat", "black", "cat", "none")} == {
        "black+cat": 100,
        "black": 60,
        "cat": 100,
        "none": 100,
    }
    assert images.at(32).float().mean() == pytest.approx(115, abs=25)
    training, warnings = load(catdog, BLACK, limit=50)
    assert warnings == []
    assert training.labels["black"].tolist() == [True] * 50 + [False] * 50
    middle = training.at(32)[:, :, 8:24, 8:24].float().mean((1, 2, 3))
    assert middle[:50].mean() < middle[50:].mean() - 20, "black dogs are darker"


def test_the_pictures_of_the_study_are_read_as_the_study_read_them(shared: Path) -> None:
    files = sorted(path for path in (shared / "mlusingml/GeneratedCNN_test").rglob("*") if path.is_file())
    if not files:
        pytest.skip("the study's test pictures are absent")
    assert len(files) == 89
    pixels = FileDecoder(tuple(map(str, files)), "drop")(32)
    for path, picture in zip(files, pixels, strict=True):
        with Image.open(path) as file:
            expected = file.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
        assert np.array_equal(picture.permute(1, 2, 0).numpy(), np.asarray(expected)), path.name
