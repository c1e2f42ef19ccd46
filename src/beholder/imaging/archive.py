"""Pictures inside tar files, such as WebDataset shards, read where they are: nothing is unpacked to a disk.

An archive may be hostile. Headers are read by Python's `tarfile` through a file that gives no more at once than an
honest header has, and that must move forward; only plain files are read, by place and size, into memory. Compressed
archives are refused: every look at a member would unpack all that is before it.
"""

from __future__ import annotations

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from typing import BinaryIO, cast

from beholder.imaging.formats import EXTENSIONS, SKIPPED_FOLDERS
from beholder.imaging.open import open_regular
from beholder.imaging.sources import MAX_BYTES, is_address
from beholder.imaging.status import ImageError

MAX_HEADER_BYTES = 64 * 1024
"""Of one header with its long name. `tarfile` reads as much as a header claims."""

_DAMAGED = (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError)
"""What `tarfile` raises for bytes that make no archive."""


def list_pictures(archive: str) -> Iterator[str]:
    """`ARCHIVE::MEMBER` of each member with a picture's extension, in the archive's order; hidden ones left out.

    Links and members with a name that can't be trusted are listed as well: opening them says what is wrong. So does
    the last entry of a damaged archive, `ARCHIVE::` without a name.
    """
    try:
        with _open(archive) as file:
            for info in _members(file):
                *folders, name = info.name.split("/")
                is_picture = not info.isdir() and os.path.splitext(name)[1].lower() in EXTENSIONS
                if is_picture and not name.startswith(".") and not SKIPPED_FOLDERS & set(folders):
                    yield f"{archive}::{_safe(info.name)}"
    except ImageError:
        yield f"{archive}::"


def open_member(archive: str, member: str) -> BinaryIO:
    """The content of a member in memory; where a name is there twice, of the first.

    Raises `ImageError` for a damaged archive, a member that is missing, no plain file, larger than `MAX_BYTES`, or
    called as if it lay outside of the archive.
    """
    parts = member.replace("\\", "/").split("/")
    if ".." in parts or parts[0].endswith(":") or (not parts[0] and member):
        raise ImageError("unsupported", f"its name {member!r} leads out of the archive, which no honest one has")
    return _reader(archive).read(member)


class _Reader:
    """An archive that is open, and the places of the members that were met so far. For one thread."""

    def __init__(self, archive: str) -> None:
        self._file = _open(archive)
        self._coming = _members(self._file)
        self._places: dict[str, tuple[int, int, bool]] = {}  # name -> offset, size, is it a plain file
        self._damage: ImageError | None = None

    def read(self, member: str) -> BinaryIO:
        """The content of a member, see `open_member`."""
        offset, size, is_plain = self._place(member)
        if not is_plain:
            raise ImageError("unsupported", "is a link, a sparse file or a device in an archive, not a plain file")
        if size > MAX_BYTES:
            raise ImageError("too_large", f"{size:,} bytes; allowed in an archive are {MAX_BYTES:,}. Unpack it first")
        if size == 0:
            raise ImageError("unreadable", "file is empty (0 bytes)")
        self._file.seek(offset)
        content = self._file.read(size)
        if len(content) < size:
            raise ImageError("unreadable", f"the archive ends after {len(content):,} of its {size:,} bytes")
        return io.BytesIO(content)

    def close(self) -> None:
        """Close the archive."""
        self._file.close()

    def _place(self, member: str) -> tuple[int, int, bool]:
        # Neighbours in a list are neighbours in the archive, so the next header is mostly the one that is wanted.
        while member not in self._places:
            if self._damage is not None:
                raise self._damage
            try:
                info = next(self._coming, None)
            except ImageError as error:
                self._damage = error
                continue
            if info is None:
                self._damage = ImageError("unreadable", "the archive has no such member")
                continue
            is_plain = info.isreg() and not info.issparse()
            self._places.setdefault(_safe(info.name), (info.offset_data, info.size, is_plain))
        return self._places[member]


_cache = threading.local()


def _reader(archive: str) -> _Reader:
    """The reader that this thread used last, if it was for the same file."""
    changed = None
    if not is_address(archive):
        try:
            info = os.stat(archive)
            changed = (info.st_mtime_ns, info.st_size, info.st_ino)
        except OSError:
            pass  # opening it will tell
    key = (os.getpid(), archive, changed)  # a forked process would share the place in the file
    last = cast("tuple[object, _Reader] | None", getattr(_cache, "last", None))
    if last is not None and last[0] == key:
        return last[1]
    if last is not None:
        _cache.last = None
        last[1].close()
    reader = _Reader(archive)
    _cache.last = (key, reader)
    return reader


class _Headers:
    """A file as `tarfile` may see it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, n: int) -> bytes:
        if not 0 <= n <= MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header claims {n:,} bytes, allowed are {MAX_HEADER_BYTES:,}")
        return self._file.read(n)


def _members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Headers in order. Raises `ImageError` where the archive is damaged, after those that could be read."""
    last: tarfile.TarInfo | None = None
    try:
        with tarfile.open(
            fileobj=cast(BinaryIO, _Headers(file)), mode="r:", encoding="utf-8", errors="surrogateescape"
        ) as archive:
            while (info := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep all
                if info.size < 0 or (last is not None and info.offset <= last.offset):
                    raise tarfile.ReadError("its headers lead backwards")
                yield info
                last = info
        if last is not None and not last.issparse():
            _check_end(file, last)
    except ImageError:  # it can't be fetched
        raise
    except _DAMAGED as error:
        where = f" after {last.name!r}" if last is not None else ""
        raise ImageError("unreadable", f"damaged or not a plain tar archive{where}: {error}") from error


def _check_end(file: BinaryIO, last: tarfile.TarInfo) -> None:
    """`tarfile` takes bytes that are no header for the end; whatever follows them would be missing in silence."""
    stored = last.size if last.isreg() else 0
    file.seek(last.offset_data + -(-stored // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
    if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError("what follows is no header")


def _open(archive: str) -> BinaryIO:
    if is_address(archive):
        from beholder.imaging.addresses import RemoteFile

        return cast(BinaryIO, RemoteFile(archive))
    return open_regular(archive)


def _safe(name: str) -> str:
    """A list of paths is separated by zero bytes, which a hostile name may hold."""
    return name.replace("\0", "␀")
