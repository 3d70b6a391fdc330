"""Every mode and misfortune of picture files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idealprompt_cli.core.errors import ImageError
from idealprompt_cli.io import images
from idealprompt_cli.io.images import FORMATS, content_hash, image_size, open_rgb


def grey_of(path: Path) -> int:
    """The red value of the top left pixel."""
    image = images.open_rgb(path)
    assert image.mode == "RGB"
    return int(np.asarray(image)[0, 0, 0])


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("RGB", (200, 10, 10), ".png", 200),
        ("L", 77, ".png", 77),
        ("1", 1, ".png", 255),
        ("CMYK", (0, 255, 255, 0), ".tif", 255),
        ("LAB", (255, 128, 128), ".tif", 255),
        ("YCbCr", (90, 128, 128), ".jpg", 90),
        ("RGBA", (0, 0, 0, 0), ".png", 255),
        ("LA", (0, 128), ".png", 127),
        ("I;16", 65535, ".png", 255),
        ("I;16", 257 * 60, ".png", 60),
        ("I;16", 4095, ".png", 255),
        ("I;16", 16 * 60, ".png", 60),
        ("I;16", 60, ".png", 60),
        ("I", 65535, ".tif", 255),
        ("I", 1 << 20, ".tif", 255),
        ("F", 0.5, ".tif", 128),
        ("F", 200.0, ".tif", 200),
    ],
)
def test_modes(tmp_path: Path, mode: str, colour: object, suffix: str, expected: int) -> None:
    path = tmp_path / f"picture{suffix}"
    Image.new(mode, (9, 7), colour).save(path)  # type: ignore[arg-type]
    assert grey_of(path) == pytest.approx(expected, abs=3)
    assert images.image_size(path) == (9, 7)


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30] + [0] * 765)
    image.save(tmp_path / "opaque.png")
    image.save(tmp_path / "clear.png", transparency=0)
    assert grey_of(tmp_path / "opaque.png") == 10
    assert grey_of(tmp_path / "clear.png") == 255


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_first_frame_of_an_animation(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    path = tmp_path / f"moving{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    red, _, blue = np.asarray(images.open_rgb(path))[0, 0]
    assert red > 200
    assert blue < 60


def test_exif_orientation(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10), "white")
    image.paste("black", (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    image.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    turned = images.open_rgb(tmp_path / "turned.jpg")
    assert turned.size == (10, 20) == images.image_size(tmp_path / "turned.jpg")
    assert np.asarray(turned)[1, 8, 0] < 80, "the corner moved to the right"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".tif", ".webp", ".jpg"])
def test_every_orientation_in_every_format(tmp_path: Path, suffix: str, orientation: int) -> None:
    image = Image.new("RGB", (40, 20), "white")
    image.paste("black", (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    path = tmp_path / f"a{suffix}"
    image.save(path, exif=exif)
    upright = images.open_rgb(path)
    assert upright.size == images.image_size(path) == images.image_size(tmp_path / "a.png")
    expected = np.asarray(images.open_rgb(tmp_path / "a.png")).astype(int)
    assert np.abs(np.asarray(upright).astype(int) - expected).mean() < 5


def write_truncated(path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-2000])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif", ".tif"])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    write_truncated(path)
    with pytest.raises(ImageError) as caught:
        images.open_rgb(path)
    message = str(caught.value)
    assert path.name in message
    assert "replace or remove it" in message or "convert it" in message
    assert "\n" not in message


def test_misfortunes(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "words.jpg").write_text("not a picture at all")
    for name, reason in (
        ("gone.png", "no such image"),
        ("empty.png", "empty"),
        ("words.jpg", "not an image"),
        (".", "folder"),
    ):
        with pytest.raises(ImageError, match=reason):
            images.open_rgb(tmp_path / name)
    with pytest.raises(ImageError, match="no such image"):
        images.content_hash(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="no such image"):
        images.image_size(tmp_path / "gone.png")


def test_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 2_000_000)
    Image.new("1", (2000, 1001)).save(tmp_path / "bomb.png")
    with pytest.raises(ImageError, match="2000x1001 pixels is over the limit of 2 megapixels"):
        images.open_rgb(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500_000)
    with pytest.raises(ImageError, match=r"bomb\.png"):
        images.open_rgb(tmp_path / "bomb.png")


def test_content_hash_follows_the_content(tmp_path: Path) -> None:
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    Image.new("RGB", (5, 5), "red").save(first)
    second.write_bytes(first.read_bytes())
    assert images.content_hash(first) == images.content_hash(second)
    Image.new("RGB", (6, 5), "blue").save(second)
    assert images.content_hash(first) != images.content_hash(second)


EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 10 10
%%EndComments
%%EOF
"""


@pytest.mark.parametrize("name", ["a.eps", "a.png", "a.jpg"])
def test_only_the_meant_formats_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Ghostscript is a program of its own: Pillow would start it for EPS, whatever the suffix."""

    def started(*args: object, **options: object) -> None:
        raise AssertionError(args)

    monkeypatch.setattr("subprocess.Popen", started)
    path = tmp_path / name
    path.write_bytes(EPS)
    with pytest.raises(ImageError, match="not an image in a known format"):
        open_rgb(path)
    with pytest.raises(ImageError, match="not an image in a known format"):
        image_size(path)


def test_no_format_that_runs_a_program_or_holds_no_picture_is_in_the_list() -> None:
    assert not set(FORMATS) & {"EPS", "WMF", "PSD", "HDF5", "GRIB", "BUFR", "MPEG", "FITS", "PCD"}


def test_content_and_not_the_name_decides(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3), "red").save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.eps")
    assert open_rgb(tmp_path / "a.eps").size == (4, 3)


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_pipes_and_devices_are_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    for read in (open_rgb, image_size, content_hash):
        with pytest.raises(ImageError, match=r"a\.png: is a (pipe|device), not a file"):
            read(path)


def test_a_large_deep_picture_is_scaled_as_a_small_one(tmp_path: Path) -> None:
    values = (np.arange(700 * 3, dtype=np.uint16) * 31).reshape(700, 3)
    Image.fromarray(values).save(tmp_path / "deep.png")
    grey = np.rint(values.astype(np.float64) / 65535 * 255).astype(np.uint8)
    assert np.array_equal(np.asarray(open_rgb(tmp_path / "deep.png"))[:, :, 0], grey)
    clear = Image.new("RGBA", (3, 700), (255, 0, 0, 128))
    clear.save(tmp_path / "clear.png")
    assert open_rgb(tmp_path / "clear.png").getcolors() == [(2100, (255, 127, 127))]
