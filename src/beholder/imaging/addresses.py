"""Pictures elsewhere, by way of fsspec: found in buckets and folders of a store, fetched one at a time."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from glob import has_magic
from typing import Any, BinaryIO

from beholder.errors import UserError
from beholder.imaging.archive import list_pictures
from beholder.imaging.formats import EXTENSIONS, SKIPPED_FOLDERS
from beholder.imaging.sources import MAX_BYTES, TAR
from beholder.imaging.status import ImageError

SCHEMES = ("http", "https", "s3", "gs", "gcs", "az", "abfs", "memory")
"""What is fetched. fsspec knows more, some of which read local files, run programs, or stack one address on another."""

_WEB = ("http", "https")


def file_system(address: str) -> Any:
    """The fsspec file system of an address. Raises `UserError` for one that is not fetched, or lacks its library."""
    scheme = _scheme(address)
    if scheme not in SCHEMES:
        raise UserError(f"{scheme}:// is not fetched; allowed are {', '.join(SCHEMES)}. Download the pictures first")
    try:
        import fsspec

        return fsspec.filesystem(scheme)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "fsspec":
            raise UserError(
                "addresses need fsspec, which is not installed. Try: pip install 'beholder[scale]'"
            ) from None
        raise UserError(f"{scheme}:// needs a library of its own: {error}") from None


def find_remote(address: str, *, recursive: bool) -> Iterator[str]:
    """Pictures that the address of a folder, a pattern or a file leads to, sorted, by the rules of `find.find_images`.

    A tar file leads to its pictures, unless it is only found in a folder. A web address is always one file: a web
    server has no list of its files. Raises `UserError` where the store can't be listed.
    """
    store = file_system(address)
    scheme = _scheme(address)
    is_pattern = scheme not in _WEB and has_magic(address)
    try:
        if is_pattern:
            found = store.glob(address, detail=True)
        elif scheme not in _WEB and store.isdir(address):
            found = store.find(address, maxdepth=None if recursive else 1, detail=True)
        else:
            found = None
    # Each store has exceptions of its own, and none of them can be imported here.
    except Exception as error:
        raise UserError(f"{address} can't be listed: {_reason(error)}") from error
    if found is None:
        yield from list_pictures(address) if _is_archive(address) else [address]
        return
    for name, info in sorted(found.items()):
        one = f"{scheme}://{name.lstrip('/')}"
        if not is_pattern:
            if _is_wanted(one.removeprefix(address)):
                yield one
        elif info["type"] == "directory":
            yield from find_remote(one, recursive=recursive)
        else:
            yield from list_pictures(one) if _is_archive(one) else [one]


def fetch(address: str) -> BinaryIO:
    """A file in memory. Raises `ImageError` where it can't be had or has more than `MAX_BYTES`."""
    with RemoteFile(address) as file:
        content = file.read(MAX_BYTES + 1)
    if not content:
        raise ImageError("unreadable", "file is empty (0 bytes)")
    if len(content) > MAX_BYTES:
        raise ImageError("too_large", f"more than {MAX_BYTES:,} bytes, which is all that is fetched. Download it first")
    return io.BytesIO(content)


class RemoteFile(io.RawIOBase):
    """A file of a store, read in pieces as they are wanted. Raises `ImageError` where it can't be had."""

    def __init__(self, address: str) -> None:
        with _fetching():
            self._file = file_system(address).open(address, "rb")

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        with _fetching():
            content: bytes = self._file.read(size)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        with _fetching():
            place: int = self._file.seek(offset, whence)
        return place

    def tell(self) -> int:
        """As of any file."""
        place: int = self._file.tell()
        return place

    def close(self) -> None:
        """As of any file."""
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()


@contextmanager
def _fetching() -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except FileNotFoundError as error:
        why = f" ({_reason(error.__cause__)})" if error.__cause__ else ""  # a web server that can't be reached, too
        raise ImageError("unreadable", f"no such file at this address{why}") from error
    except UserError as error:
        raise ImageError("unreadable", str(error)) from error
    # As above.
    except Exception as error:
        raise ImageError("unreadable", f"fetching failed: {_reason(error)}") from error


def _is_archive(address: str) -> bool:
    return os.path.splitext(address)[1].lower() == TAR


def _is_wanted(below: str) -> bool:
    """Whether a folder's file is a picture that counts, by its path below that folder."""
    *folders, name = below.strip("/").split("/")
    is_hidden = any(part.startswith(".") or part in SKIPPED_FOLDERS for part in folders) or name.startswith(".")
    return not is_hidden and os.path.splitext(name)[1].lower() in EXTENSIONS


def _scheme(address: str) -> str:
    return address.partition("://")[0].lower()


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
