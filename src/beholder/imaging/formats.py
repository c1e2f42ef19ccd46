"""Which picture formats are read, which are known but not read, and how each is told by its first bytes or its name."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import NamedTuple

from PIL import ImageFile, features


class Decoder(NamedTuple):
    """Where Pillow keeps the reader of one format. Formats that start another program (EPS, ...) have no row."""

    module: str
    file_class: str
    codec: str | None = None
    """Library that this build of Pillow may lack, as `PIL.features` calls it."""
    magic: tuple[bytes, ...] = ()
    """First bytes; one of them must match. Formats without a fixed start are told apart in `detect`."""


# The JPEG row names the class itself: Pillow's own factory also parses the second picture of MPO files, for nothing.
DECODERS: dict[str, Decoder] = {
    "JPEG": Decoder("JpegImagePlugin", "JpegImageFile", "jpg", (b"\xff\xd8\xff",)),
    "PNG": Decoder("PngImagePlugin", "PngImageFile", "zlib", (b"\x89PNG\r\n\x1a\n",)),
    "WebP": Decoder("WebPImagePlugin", "WebPImageFile", "webp"),
    "GIF": Decoder("GifImagePlugin", "GifImageFile", None, (b"GIF87a", b"GIF89a")),
    "TIFF": Decoder("TiffImagePlugin", "TiffImageFile", "libtiff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    "BMP": Decoder("BmpImagePlugin", "BmpImageFile", None, (b"BM",)),
    "AVIF": Decoder("AvifImagePlugin", "AvifImageFile", "avif"),
    "JPEG 2000": Decoder(
        "Jpeg2KImagePlugin", "Jpeg2KImageFile", "jpg_2000", (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
    ),
    "PPM": Decoder("PpmImagePlugin", "PpmImageFile"),
    "PSD": Decoder("PsdImagePlugin", "PsdImageFile", None, (b"8BPS",)),
    "QOI": Decoder("QoiImagePlugin", "QoiImageFile", None, (b"qoif",)),
}

PPM_STARTS = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf")

UNREAD_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"II\x1a\0\0\0HEAPCCDR", "camera raw (CRW)"),
    (b"II*\0\x10\0\0\0CR", "camera raw (CR2)"),
    (b"FUJIFILMCCD-RAW", "camera raw (RAF)"),
    (b"IIU\0", "camera raw (RW2)"),
    (b"IIRO", "camera raw (ORF)"),
    (b"IIRS", "camera raw (ORF)"),
    (b"MMOR", "camera raw (ORF)"),
    (b"FOVb", "camera raw (X3F)"),
    (b"\0MRM", "camera raw (MRW)"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"\0\0\x01\0", "icon (ICO)"),
    (b"DDS ", "DDS texture"),
    (b"gimp xcf", "GIMP (XCF)"),
    (b"AT&TFORM", "DjVu"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"\x1aE\xdf\xa3", "video"),
    (b"PK\x03\x04", "ZIP archive"),
    (b"\x1f\x8b", "gzip archive"),
    (b"version https://git-lfs", "Git LFS pointer; fetch the picture with `git lfs pull`"),
)
"""First bytes of what people find in picture folders and we do not read."""

RAW_EXTENSIONS = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw"),
    *(".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
)
"""Camera raw files. Many are TIFF inside, with a thumbnail in front that must not pass for the picture."""

EXTENSIONS: dict[str, str] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "JPEG"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **dict.fromkeys((".avif", ".avifs"), "AVIF"),
    **dict.fromkeys((".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"), "JPEG 2000"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm", ".pfm"), "PPM"),
    **dict.fromkeys((".psd",), "PSD"),
    ".webp": "WebP",
    ".gif": "GIF",
    ".qoi": "QOI",
    # Below: found in folders so that each gets a row that says `unsupported`, rather than vanish.
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    **dict.fromkeys((".svg", ".svgz"), "SVG"),
    **dict.fromkeys((".eps", ".ps", ".ai"), "PostScript"),
    **{extension: f"camera raw ({extension[1:].upper()})" for extension in RAW_EXTENSIONS},
    ".psb": "PSB",
    ".jxl": "JPEG XL",
    ".jxr": "JPEG XR",
    ".exr": "OpenEXR",
    ".hdr": "Radiance HDR",
    ".tga": "TGA",
    ".ico": "icon (ICO)",
    ".dds": "DDS texture",
    ".xcf": "GIMP (XCF)",
    ".djvu": "DjVu",
}
"""File name endings that count as pictures when a folder is searched, with the format each one promises."""

SKIPPED_FOLDERS = frozenset({"__MACOSX", "@eaDir"})
"""Thumbnails and shadow files that macOS and Synology put beside pictures. Hidden names are left out as well."""

HTML = "HTML page"

MAGIC_BYTES = 512
"""How much of a file `detect` wants to see."""


def detect(head: bytes) -> str | None:
    """Format of a file by its first `MAGIC_BYTES` bytes: a key of `DECODERS`, another format's name, or None."""
    for start, name in UNREAD_MAGIC:  # first: CR2 also has the first bytes of TIFF
        if head.startswith(start):
            return name
    for name, decoder in DECODERS.items():
        if head.startswith(decoder.magic):  # never true of an empty tuple
            return name
    if head[:2] in PPM_STARTS and head[2:3].isspace():  # two letters alone would take text files for pictures
        return "PPM"
    if head[:4] == b"RIFF":
        return "WebP" if head[8:12] == b"WEBP" else "video" if head[8:12] == b"AVI " else None
    if head[4:8] == b"ftyp":
        return _iso_media_format(head)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in text):
        return "SVG"
    if text.startswith((b"<!doctype html", b"<html")):
        return HTML
    return None


def _iso_media_format(head: bytes) -> str:
    size = int.from_bytes(head[:4], "big")
    brands = {head[at : at + 4] for at in (8, *range(16, min(size, len(head)), 4))}  # 12-15 is a version number
    if brands & {b"avif", b"avis"}:  # before HEIC: both may also claim the general brand mif1
        return "AVIF"
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return "HEIC"
    return "camera raw (CR3)" if b"crx " in brands else "video"


@cache
def file_class(name: str) -> type[ImageFile.ImageFile] | None:
    """Pillow's reader of a format in `DECODERS`; None where this build of Pillow lacks its codec."""
    decoder = DECODERS[name]
    if decoder.codec is not None and not _has_codec(decoder.codec):
        return None
    found: type[ImageFile.ImageFile] = getattr(import_module(f"PIL.{decoder.module}"), decoder.file_class)
    return found


def _has_codec(codec: str) -> bool:
    known = features.modules.keys() | features.codecs.keys()  # Pillow warns when asked about a name it does not know
    return codec in known and bool(features.check(codec))
