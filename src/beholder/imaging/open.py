"""Open any picture safely: a path, a Pillow image or an array in; sRGB pixels as people see them out.

The order of work keeps it fast and its memory flat: header, size check, decode (JPEG at reduced size), eight bits,
resize, and only then, on few pixels, colour profile, transparency and rotation.

Resizing. Bicubic with antialiasing, after a reduction to at least twice the final size where there is that much to
spare (`SPARE`): by the JPEG decoder itself, or by box averaging for other formats. Reducing to just above the final
size would be faster (4000x3000 JPEG to 591x443: 21 ms; with `SPARE` 39 ms; from all pixels 121 ms) but dulls fine
detail: on photos shrunk 2 to 5 times the variance of the Laplacian falls by 10 to 27 %, with `SPARE` by 0 to 7 %.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin

from beholder.imaging import formats
from beholder.imaging.colour import to_srgb
from beholder.imaging.fit import Fit
from beholder.imaging.pixels import DEEP_NOTE, from_array, to_working
from beholder.imaging.sources import open_elsewhere
from beholder.imaging.status import ImageError

DEFAULT_MAX_PIXELS = 200_000_000
"""Larger pictures are refused before decoding, whatever the file size says."""

MIN_SIDE = 32
"""Pixels of the shorter side at least; less is too little to judge."""

SPARE = 2
"""Cheap reductions keep at least this many times the final size for the antialiased resize."""

EXIF_KEYS = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""Entries of `Image.info` that can hold an orientation."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what brings the picture upright. 1 and unknown values: nothing."""


@dataclass(frozen=True)
class Picture:
    """A picture as people see it: upright, in sRGB, over white."""

    rgb: NDArray[np.uint8]
    """sRGB, (height, width, 3), 0-255, contiguous; after fitting where a fit was asked for."""
    width: int
    """Pixels, upright, before fitting."""
    height: int
    """Pixels, upright, before fitting."""
    note: str | None = None
    """What was done that a person may want to know, e.g. `animated: first of 12 frames`; joined by `; `."""


def open_image(
    source: str | Path | Image.Image | NDArray[np.generic],
    *,
    fit: Fit | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Picture:
    """Open a picture file, or take pixels, and give sRGB pixels, shrunk to `fit` if given.

    A path may lead into a tar file or to an address (`beholder.imaging.sources`).

    Raises `ImageError` with a `status` for everything that can be wrong with a picture: missing, unreadable,
    damaged, of an unknown format, more than `max_pixels`, a side under 32 px. Its message leaves the path out.
    Raises `ValueError` or `TypeError` for an array that is no picture (see `pixels.from_array`).

    A Pillow image is used as it is (current frame, no reduced decoding), so a large JPEG given as a Pillow image
    can differ by a few 1/255 from the same file given as a path. Memory: JPEG files with `fit` take little at any
    size; other formats are decoded whole, 4 bytes per pixel.
    """
    if isinstance(source, Image.Image):
        _check_size(source.size, max_pixels)
        return _look_at(source, fit, [])
    if isinstance(source, np.ndarray):
        image, note = from_array(source)
        _check_size(image.size, max_pixels)
        return _look_at(image, fit, [note])
    if not isinstance(source, str | Path):
        raise TypeError(f"a picture is a path, a Pillow image or a NumPy array, not {type(source).__name__}")
    path = os.fspath(source)
    try:
        with open_elsewhere(path) or open_regular(path) as file:
            return _open_file(file, os.path.splitext(path)[1].lower(), fit, max_pixels)
    except ImageError:
        raise
    except OSError as err:
        raise ImageError("unreadable", f"reading failed: {err.strerror or err}") from err


def stored_size(path: str | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> tuple[int, int]:
    """Width and height in pixels as a picture file has them, not turned, from its head. Raises `ImageError`."""
    name = os.fspath(path)
    try:
        with open_elsewhere(name) or open_regular(name) as file:
            return open_header(file, os.path.splitext(name)[1].lower(), max_pixels=max_pixels)[0].size
    except ImageError:
        raise
    except OSError as err:
        raise ImageError("unreadable", f"reading failed: {err.strerror or err}") from err


def open_regular(path: str) -> BinaryIO:
    """Open a regular file. Checked first, because opening a pipe waits and opening a device can do anything."""
    try:
        info = os.stat(path)
        file = open(path, "rb") if stat.S_ISREG(info.st_mode) and info.st_size else None  # noqa: SIM115 (the caller closes it)
    except FileNotFoundError:
        if os.path.islink(path):
            raise ImageError("unreadable", f"broken link: it points to {os.readlink(path)!r}") from None
        raise ImageError("unreadable", "no such file") from None
    except PermissionError:
        raise ImageError("unreadable", "no permission to read it") from None
    except ValueError:
        raise ImageError("unreadable", f"not a possible file name: {path!r}") from None
    if file is not None:
        return file
    if stat.S_ISDIR(info.st_mode):
        closed = "" if os.access(path, os.R_OK | os.X_OK) else ", and there is no permission to look into it"
        raise ImageError("unreadable", f"is a folder, not a file{closed}")
    if stat.S_ISREG(info.st_mode):
        raise ImageError("unreadable", "file is empty (0 bytes)")
    raise ImageError("unreadable", "is a pipe, socket or device, not a regular file")


def _open_file(file: BinaryIO, extension: str, fit: Fit | None, max_pixels: int) -> Picture:
    image, notes = open_header(file, extension, max_pixels=max_pixels)
    full = image.size
    if fit is not None and isinstance(image, JpegImagePlugin.JpegImageFile):
        width, height = fit.size(*full)
        image.draft(None, (SPARE * width, SPARE * height))
    return _look_at(image, fit, [*notes, DEEP_NOTE if is_deep(image) else None], full)


def open_header(
    file: BinaryIO, extension: str, *, max_pixels: int, min_side: int = MIN_SIDE
) -> tuple[ImageFile.ImageFile, list[str | None]]:
    """The picture in a file, checked but not decoded, and notes about it. `extension` is what its name promises.

    Raises `ImageError` for a format we do not read, more than `max_pixels`, or a side under `min_side`.
    """
    head = file.read(formats.MAGIC_BYTES)
    file.seek(0)
    name = _format_of(head, extension)
    file_class = formats.file_class(name)
    if file_class is None:
        raise ImageError("unsupported", f"{name}: this build of Pillow lacks its decoder. Try: pip install -U pillow")
    with decoding(name):
        # Called directly, because Image.open would apply its own pixel limit, a global variable.
        image = file_class(file)
    _check_size(image.size, max_pixels, min_side)
    with decoding(name):
        frames_note = _frames_note(image, name)
        is_raw_preview = name == "TIFF" and _is_raw_preview(image)
    if is_raw_preview:
        raise _unsupported("camera raw (DNG or kin)")
    renamed = formats.EXTENSIONS.get(extension, name) != name
    return image, [f"{name} named {extension}" if renamed else None, frames_note]


def _look_at(
    image: Image.Image, fit: Fit | None, notes: list[str | None], full: tuple[int, int] | None = None
) -> Picture:
    """Decode and turn into sRGB pixels. `full` is the size before reduced decoding."""
    with decoding(image.format or "picture"):
        image.load()
    orientation, exif_note = orientation_of(image)
    profile = image.info.get("icc_profile")
    width, height = full or image.size
    image, depth_note = to_working(image)
    if fit is not None and image.size != (size := fit.size(width, height)):
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=SPARE)
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if image.mode != "RGB" or profile or alpha:
        colours = image.convert(image.mode[:-1]) if alpha else image
        image, colour_note = to_srgb(colours, profile)
    else:
        colour_note = None
    if alpha:
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=alpha)
        image = white
    if orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
        if orientation >= 5:
            width, height = height, width
    rgb = np.array(image)
    notes += [exif_note, depth_note, colour_note, _fit_note(width, height, rgb)]
    return Picture(rgb, width, height, "; ".join(dict.fromkeys(note for note in notes if note)) or None)


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Around what reads a foreign file with Pillow, and nothing else: whatever it raises becomes an `ImageError`."""
    try:
        yield
    except Image.DecompressionBombError as err:
        raise _grows(err) from err
    # Damaged bytes make decoders raise anything, SystemError and struct.error included; a list of what has been seen
    # would end a run of a million pictures at the first one that is new.
    except Exception as err:
        raise _damaged(name, err) from err


def _format_of(head: bytes, extension: str) -> str:
    """Key of `formats.DECODERS`; raises `ImageError` for everything else."""
    found = formats.detect(head)
    named = formats.EXTENSIONS.get(extension)
    if found == "TIFF" and extension in formats.RAW_EXTENSIONS:
        found = named  # its first picture would be a thumbnail
    if found in formats.DECODERS:
        return found
    if found is None and not head.strip(b"\0"):
        raise ImageError("unreadable", "damaged: it starts with nothing but zero bytes")
    if found is None and any(m.startswith(head) for decoder in formats.DECODERS.values() for m in decoder.magic):
        raise ImageError("unreadable", f"truncated: the file ends after {len(head)} bytes")
    if found is None and named is not None and named not in formats.DECODERS:
        found = named
    if found == formats.HTML:
        raise ImageError("unsupported", "not a picture but an HTML page, as a failed download leaves it. Get it again.")
    if found is not None:
        raise _unsupported(found)
    claim = f"named {extension}, but " if named else ""
    raise ImageError(
        "unsupported",
        f"not a picture: {claim}its first bytes {head[:8]!r} are no known format. "
        f"Formats read: {', '.join(formats.DECODERS)}.",
    )


def _unsupported(name: str) -> ImageError:
    return ImageError("unsupported", f"{name} is not read. Export it as JPEG, PNG, TIFF or WebP.")


def _damaged(name: str, err: Exception) -> ImageError:
    if isinstance(err, MemoryError):
        return ImageError("unreadable", f"{name}: not enough memory to decode it; the file may be damaged")
    reason = " ".join(str(err).split())
    if not reason or not isinstance(err, OSError | SyntaxError | ValueError | EOFError):  # their words are for people
        reason = f"{type(err).__name__}: {reason}".removesuffix(": ")
    return ImageError("unreadable", f"damaged or truncated {name}: {reason}")


def _grows(err: Image.DecompressionBombError) -> ImageError:
    """WebP headers and frames or tiles that are larger than the picture meet a limit inside Pillow before ours."""
    return ImageError("too_large", f"{err}; Pillow refuses it, so a higher max_pixels does not help")


def _check_size(size: tuple[int, int], max_pixels: int, min_side: int = MIN_SIDE) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageError(
            "too_large",
            f"{width} x {height} is {width * height:,} pixels; allowed are {max_pixels:,}. "
            "Raise max_pixels (--max-pixels) if you trust the file and have 4 bytes of memory per pixel.",
        )
    if min(width, height) < min_side:
        raise ImageError("too_small", f"{width} x {height} pixels; the shorter side must have {min_side} at least")


def _is_raw_preview(image: ImageFile.ImageFile) -> bool:
    """Whether the first picture of a TIFF is only the preview of a raw one: DNG, sensor mosaic, or marked reduced."""
    tags = getattr(image, "tag_v2", {})
    return 50706 in tags or tags.get(262) == 32803 or bool(int(tags.get(254, 0)) & 1)


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow will cut 16-bit colour to 8 bits; the mode alone does not tell."""
    return any(";16" in str(tile.args) for tile in image.tile)


def _frames_note(image: ImageFile.ImageFile, name: str) -> str | None:
    if name not in ("GIF", "PNG", "WebP", "AVIF", "TIFF"):  # "frames" of a PSD are layers, of an MPO spare views
        return None
    frames = getattr(image, "n_frames", 1)
    if frames == 1:
        return None
    return f"first of {frames} pages" if name == "TIFF" else f"animated: first of {frames} frames"


def orientation_of(image: Image.Image) -> tuple[int, str | None]:
    """EXIF orientation of a decoded picture, 1 to 8, and a note where its EXIF data can't be read."""
    if not any(key in image.info for key in EXIF_KEYS):  # parsing costs as much as decoding a small picture
        return 1, None
    try:
        with decoding("EXIF"):
            return int(image.getexif().get(0x0112, 1)), None
    except ImageError:
        return 1, "EXIF data damaged: rotation unknown"


def _fit_note(width: int, height: int, rgb: NDArray[np.uint8]) -> str | None:
    seen_height, seen_width = rgb.shape[:2]
    across, down = seen_width / width, seen_height / height
    if not 0.95 < across / down < 1.05:
        return f"aspect ratio changed: {width}x{height} seen as {seen_width}x{seen_height}"
    return f"upscaled from {width}x{height}" if across > 1 else None
