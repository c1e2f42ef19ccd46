"""Damaged picture files by seed: the same bytes every time, from rendered pictures of every format that is read.

| kind | what is done to a whole file |
|---|---|
| `flips` | 1 to 20 bits or bytes changed, half of the time within the first 600 bytes |
| `cut` | everything after some byte is missing |
| `overwritten` | a run of bytes is zeros, noise, or another part of the file |
| `lying` | width or height, wherever the format keeps them, say something else; PNG checksums are right again |
| `polyglot` | two files in one, of several formats, under the name of either or of a third |
| `bomb` | small files that ask for much memory or time (`bombs`) |
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image

from beholder.imaging.formats import EXTENSIONS

SIZE = (97, 61)
"""Width and height of all originals: two primes, which hardly stand for anything else in a file."""

LIES = (0, 1, 31, 96, 98, 4000, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)

Rng = np.random.Generator


def write_corpus(folder: Path, count: int, seed: int = 0) -> dict[str, str]:
    """Write `count` damaged files into `folder`; the kind of each, by name, in sorting order."""
    folder.mkdir(parents=True)
    files = list(originals().items())
    kinds: dict[str, str] = {}
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        kind = list(DAMAGES)[i % len(DAMAGES)]
        name, content = files[(i // len(DAMAGES)) % len(files)]
        extension, damaged = DAMAGES[kind](name, content, rng)
        file = f"{i:05d}-{kind}.{extension}"
        (folder / file).write_bytes(damaged)
        kinds[file] = kind
    return kinds


@cache
def originals() -> Mapping[str, bytes]:
    """Whole files of every format that is read and of several forms of each, by `form.extension`."""
    scene = _scene()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a rendered picture"
    more = [scene.rotate(10), scene.rotate(20)]
    grey = np.asarray(scene.convert("L"))
    made = {
        "baseline.jpg": _saved(scene, "JPEG", exif=exif),
        "progressive.jpg": _saved(scene, "JPEG", progressive=True),
        "cmyk.jpg": _saved(scene.convert("CMYK"), "JPEG"),
        "rgb.png": _saved(scene, "PNG", exif=exif),
        "palette.png": _saved(scene.quantize(64), "PNG"),
        "deep.png": _saved(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"),
        "animated.png": _saved(scene, "PNG", save_all=True, append_images=more),
        "plain.gif": _saved(scene, "GIF"),
        "animated.gif": _saved(scene, "GIF", save_all=True, append_images=more),
        "lossy.webp": _saved(scene, "WEBP", exif=exif),
        "lossless.webp": _saved(scene, "WEBP", lossless=True),
        "animated.webp": _saved(scene, "WEBP", save_all=True, append_images=more),
        "raw.tif": _saved(scene, "TIFF"),
        "lzw.tif": _saved(scene, "TIFF", compression="tiff_lzw"),
        "deflate.tif": _saved(scene, "TIFF", compression="tiff_deflate"),
        "jpeg.tif": _saved(scene, "TIFF", compression="jpeg"),
        "pages.tif": _saved(scene, "TIFF", save_all=True, append_images=more),
        "rgb.bmp": _saved(scene, "BMP"),
        "rgb.avif": _saved(scene, "AVIF"),
        "rgb.jp2": _saved(scene, "JPEG2000"),
        "rgb.ppm": _saved(scene, "PPM"),
        "rgb.qoi": _saved(scene, "QOI"),
        "rgb.psd": _psd(scene),
    }
    return MappingProxyType(made)


def _scene() -> Image.Image:
    width, height = SIZE
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(0).integers(0, 20, (height, width, 3))
    return Image.fromarray((np.stack([2 * x, 3 * y, x * y % 230], -1) + noise).clip(0, 255).astype(np.uint8))


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _psd(image: Image.Image) -> bytes:
    """An uncompressed RGB picture without layers, which Pillow reads and does not write."""
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, image.height, image.width, 8, 3)
    planes = b"".join(plane.tobytes() for plane in image.split())
    return head + struct.pack(">III", 0, 0, 0) + struct.pack(">H", 0) + planes


Damage = Callable[[str, bytes, Rng], tuple[str, bytes]]
"""`(name, content, rng) -> (extension, damaged content)`"""


def _flips(name: str, content: bytes, rng: Rng) -> tuple[str, bytes]:
    damaged = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 2, 5, 20]))):
        at = int(rng.integers(len(damaged) if rng.random() < 0.5 else min(len(damaged), 600)))
        damaged[at] = int(rng.integers(256)) if rng.random() < 0.5 else damaged[at] ^ (1 << int(rng.integers(8)))
    return _extension(name), bytes(damaged)


def _cut(name: str, content: bytes, rng: Rng) -> tuple[str, bytes]:
    return _extension(name), content[: int(rng.integers(len(content)))]


def _overwritten(name: str, content: bytes, rng: Rng) -> tuple[str, bytes]:
    length = int(rng.integers(1, max(2, len(content) // 4)))
    at, other = (int(place) for place in rng.integers(len(content) - length + 1, size=2))
    kinds = (bytes(length), rng.bytes(length), content[other : other + length])
    return _extension(name), content[:at] + kinds[int(rng.integers(3))] + content[at + length :]


def _lying(name: str, content: bytes, rng: Rng) -> tuple[str, bytes]:
    true = SIZE
    lie = tuple(int(rng.choice(LIES)) if rng.random() < 0.7 else side for side in true)
    for code, sides in (
        (">II", slice(None)),
        ("<II", slice(None)),
        (">HH", slice(None, None, -1)),
        ("<HH", slice(None)),
    ):
        limit = 0xFFFF if "H" in code else 0xFFFFFFFF
        for order in (sides, slice(None, None, -1), slice(None)):
            old, new = struct.pack(code, *true[order]), struct.pack(code, *(side & limit for side in lie[order]))
            if old in content:
                return _extension(name), _with_checksums(content.replace(old, new))
    old, new = b"%d %d" % true, b"%d %d" % lie
    if old in content:
        return _extension(name), content.replace(old, new)
    short = int(rng.integers(2))  # one side alone: a tag of a TIFF, the packed sizes of WebP and AVIF
    old, new = struct.pack("<H", true[short]), struct.pack("<H", lie[short] & 0xFFFF)
    return _extension(name), content.replace(old, new, 1 + int(rng.integers(3)))


def _with_checksums(content: bytes) -> bytes:
    """A PNG with the right checksum on its first chunk, so that a decoder believes it; other formats as they are."""
    if not content.startswith(b"\x89PNG"):
        return content
    return content[:29] + struct.pack(">I", zlib.crc32(content[12:29])) + content[33:]


def _polyglot(name: str, content: bytes, rng: Rng) -> tuple[str, bytes]:
    others = {**originals(), **_not_pictures()}
    other_name = list(others)[int(rng.integers(len(others)))]
    other = others[other_name]
    at = int(rng.integers(len(content)))
    forms = (
        content + other,
        other + content,
        content[:at] + other,
        content[:at] + other + content[at:],
        other[:16] + content[16:],
    )
    extensions = (_extension(name), _extension(other_name), "jpg")
    extension = extensions[int(rng.integers(3))]
    if f".{extension}" not in EXTENSIONS:
        extension = "jpg"  # under another name a search of the folder would pass it by
    return extension, forms[int(rng.integers(len(forms)))]


@cache
def _not_pictures() -> Mapping[str, bytes]:
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("../../escaped.txt", "x")
    with tarfile.open(fileobj=tarred, mode="w") as archive_of_tar:
        archive_of_tar.addfile(tarfile.TarInfo("../../escaped.jpg"))
    made = {
        "page.html": b"<!DOCTYPE html><script>fetch('http://127.0.0.1:1/')</script>",
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "paper.pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%%EOF\n",
        "program.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n(escaped.txt) (w) file closefile\n",
        "run.sh": b"#!/bin/sh\ntouch escaped.txt\n",
        "archive.zip": zipped.getvalue(),
        "archive.tar": tarred.getvalue(),
    }
    return MappingProxyType(made)


def _bomb(name: str, content: bytes, rng: Rng) -> tuple[str, bytes]:
    """One of `bombs`, most of them with a few bytes changed."""
    kinds = bombs()
    bomb = list(kinds)[int(rng.integers(len(kinds)))]
    if rng.random() < 0.3:
        return _extension(bomb), kinds[bomb]
    return _flips(bomb, kinds[bomb], rng)


@cache
def bombs() -> Mapping[str, bytes]:
    """Small files that promise, or really hold, far more than their size."""
    zeros = zlib.compress(bytes(20_000_000), 9)
    frame = originals()["plain.gif"]
    jpeg = _saved(Image.new("L", (4000, 4000), 120), "JPEG", progressive=True)
    last_scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    jp2 = originals()["rgb.jp2"]
    siz = jp2.index(b"\xff\x51") + 6
    tif = bytearray(originals()["raw.tif"])
    first = struct.unpack_from("<I", tif, 4)[0]
    n_tags = struct.unpack_from("<H", tif, first)[0]
    struct.pack_into("<I", tif, first + 2 + 12 * n_tags, first)  # the next page is this page
    one_pixel = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    true, lie = struct.pack(">II", *SIZE[::-1]), struct.pack(">II", 14_000, 14_000)
    made = {
        "promise.png": _png(60_000, 60_000, zlib.compress(b"")),
        "just-allowed.png": _png(14_000, 14_000, zlib.compress(bytes(1000))),
        "real.png": _png(5_000, 4_000, zlib.compress(bytes(5_001 * 4_000), 9)),
        "text.png": _png(64, 64, zlib.compress(bytes(65 * 64)), (b"zTXt", b"Comment\0\0" + zeros)),
        "profile.png": _png(64, 64, zlib.compress(bytes(65 * 64)), (b"iCCP", b"x\0\0" + zeros)),
        "frames.png": _png(64, 64, zlib.compress(bytes(65 * 64)), (b"acTL", struct.pack(">II", 2**31 - 1, 0))),
        "strip.tif": _saved(Image.new("L", (5_000, 4_000)), "TIFF", compression="tiff_deflate"),
        "loop.tif": bytes(tif),
        "scans.jpg": jpeg[:-2] + last_scan * 500 + jpeg[-2:],
        "promise.jpg": originals()["baseline.jpg"].replace(struct.pack(">HH", *SIZE[::-1]), b"\xff\xdc\xff\xdc"),
        "screen.gif": frame[:6] + b"\xff\xff\xff\xff" + frame[10:],
        "frames.gif": frame[:-1] + one_pixel * 50_000 + b";",
        "tiles.jp2": jp2[:siz] + struct.pack(">IIIIIIII", 2**31, 2**31, 0, 0, 1, 1, 0, 0) + jp2[siz + 32 :],
        "promise.ppm": b"P6 14000 14000 255\n" + bytes(1000),
        "digits.ppm": b"P3 4000 4000 255\n" + b"9" * 1_000_000,
        "promise.bmp": originals()["rgb.bmp"].replace(struct.pack("<II", *SIZE), struct.pack("<II", 14_000, 14_000)),
        "promise.qoi": b"qoif" + struct.pack(">IIBB", 14_000, 14_000, 3, 0) + bytes(64),
        "promise.psd": originals()["rgb.psd"].replace(true, lie),
        "laughs.svg": b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><svg>&b;</svg>',
    }  # fmt: skip
    return MappingProxyType(made)


def _png(width: int, height: int, pixels: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A grey PNG of these compressed `pixels`, with `chunks` before them."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = b"".join(chunk(*one) for one in (header, *chunks, (b"IDAT", pixels), (b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + body


def _extension(name: str) -> str:
    return name.rpartition(".")[2]


DAMAGES: dict[str, Damage] = {
    "flips": _flips,
    "cut": _cut,
    "overwritten": _overwritten,
    "lying": _lying,
    "polyglot": _polyglot,
    "bomb": _bomb,
}
