"""Tar files for tests, honest and not."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image

Entry = tuple[tarfile.TarInfo, bytes]


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def entry(name: str, content: bytes = b"", **fields: object) -> Entry:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def write_tar(path: Path, entries: Mapping[str, bytes] | Iterable[Entry]) -> Path:
    """A tar file of the entries as they are, hostile names and lying sizes included."""
    if isinstance(entries, Mapping):
        entries = [entry(name, content) for name, content in entries.items()]
    with path.open("wb") as file:
        for info, content in entries:
            file.write(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
            file.write(content + bytes(-len(content) % tarfile.BLOCKSIZE))
        file.write(bytes(2 * tarfile.BLOCKSIZE))
    return path
