"""Open a picture the way every part of the package sees it: RGB, upright, first frame.

Knows files and pixels only; what a picture means is none of its business. Every failure is an
`ImageError` of one line that names the file, the reason and the fix.
"""

from __future__ import annotations

import hashlib
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..core.errors import ImageError
from .files import is_regular, open_file, reason

FORMATS = (
    "PNG", "JPEG", "MPO", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "ICO",
    "TGA", "PCX", "SGI",
)  # fmt: skip
"""What is decoded, by content and whatever a file is called. Formats that start another program
(EPS: Ghostscript) or that pictures are not kept in are not among them."""

MAX_PIXELS = 100_000_000
"""Decompression-bomb limit: a picture with more pixels than this is refused before decoding."""

_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_ROWS = 256
_DEPTHS = (255.0, 4095.0, 65535.0)
"""The greatest values of 8, 12 and 16 bits."""


def open_rgb(path: Path) -> Image.Image:
    """The picture as an upright RGB image (EXIF orientation applied, first frame of an animation,
    transparency over white, 16-bit and float scaled to 8 bits).

    Raises `ImageError` if the file is missing, truncated, no picture, or too large.
    """
    with _opened(path) as image:
        image.seek(0)
        ImageOps.exif_transpose(image, in_place=True)
        return _to_rgb(image)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels of what `open_rgb` returns, read from the header alone."""
    with _opened(path) as image:
        width, height = image.size
        if image.format == "TIFF":  # Pillow gives the upright size
            return width, height
        if image.getexif().get(_ORIENTATION, 1) in _SIDEWAYS:
            return height, width
        return width, height


def fresh_copy(image: Path, folder: Path) -> Path:
    """The same image in a file that no cache knows: with bytes after its end, which decoders
    ignore, or saved again. Raises `ImageError`."""
    copy = folder / f"{secrets.token_hex(4)}{image.suffix}"
    try:
        copy.write_bytes(image.read_bytes() + secrets.token_bytes(16))
        open_rgb(copy)
    except (OSError, ImageError):
        copy = copy.with_suffix(".png")
        open_rgb(image).save(copy)
    return copy


def content_hash(path: Path) -> str:
    """SHA-256 of the file's bytes (hex). Kept per (path, modification time, size), so asking
    again for an unchanged file costs one `stat`. Raises `ImageError` if it cannot be read."""
    try:
        status = path.stat()
        return _hash_file(str(path), status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise ImageError(_unreadable(path, error)) from error


@lru_cache(maxsize=65536)
def _hash_file(path: str, mtime_ns: int, size: int) -> str:
    digest = hashlib.sha256()
    with open_file(Path(path)) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open with the size limit checked, and translate whatever goes wrong inside the block."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_file(path) as file, Image.open(file, formats=_known()) as image:
                _check_size(path, image.size)
                yield image
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path}: too many pixels to decode safely; make it smaller") from error
    except Exception as error:  # decoders raise almost anything on broken files
        raise ImageError(_unreadable(path, error)) from error


@lru_cache(maxsize=1)
def _known() -> tuple[str, ...]:
    """The formats that this Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _check_size(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{path}: {width}x{height} pixels is over the limit of {MAX_PIXELS // 1_000_000} "
            "megapixels; make it smaller"
        )


def _unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path}: no such image; check the path"
    if isinstance(error, IsADirectoryError):
        return f"{path}: is a folder, not an image; name a file inside it"
    if isinstance(error, PermissionError):
        return f"{path}: cannot be read; change its permissions"
    if isinstance(error, OSError) and error.filename == str(path):
        return f"{path}: {reason(error)}; name an image file"
    if is_regular(path) and path.stat().st_size == 0:
        return f"{path}: the file is empty; replace or remove it"
    if isinstance(error, UnidentifiedImageError):
        return f"{path}: not an image in a known format; convert it to PNG or JPEG, or remove it"
    if isinstance(error, MemoryError):
        return f"{path}: needs more memory to decode than there is; make it smaller"
    what = " ".join(str(error).split()) or type(error).__name__
    return f"{path}: the image is damaged ({what}); replace or remove it"


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _from_deep(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _over_white(image)
    return image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    """In parts, because whole copies with transparency take four bytes for each pixel."""
    made = Image.new("RGB", image.size)
    width, height = image.size
    for top in range(0, height, _ROWS):
        part = image.crop((0, top, width, min(top + _ROWS, height))).convert("RGBA")
        white = Image.new("RGBA", part.size, "white")
        made.paste(Image.alpha_composite(white, part).convert("RGB"), (0, top))
    return made


def _from_deep(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float greys to 8 bits. Pillow's own conversion clips instead.

    Integers that all fit 8 or 12 bits are taken as such: sensors' values are often stored in files
    of 16 bits as they are.
    """
    values = np.asarray(image)
    top = float(np.nan_to_num(np.fmax.reduce(values, axis=None, initial=0)))
    if image.mode == "F":
        most = 1.0 if top <= 1.0 else 255.0
    else:
        most = next(most for most in (*_DEPTHS, top) if top <= most)
    grey = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), _ROWS):  # in parts: a copy of all in float64 is large
        part = np.nan_to_num(values[start : start + _ROWS].astype(np.float64))
        grey[start : start + _ROWS] = np.clip(np.rint(part / most * 255.0), 0, 255)
    return Image.fromarray(grey).convert("RGB")
