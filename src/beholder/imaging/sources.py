"""Where the bytes of a picture come from: a local file, a member of a tar file, an address.

`photo.jpg` is a file, `shard.tar::0001.jpg` a member, `s3://bucket/photo.jpg` an address, and
`s3://bucket/shard.tar::0001.jpg` both. What is not a local file is fetched into memory, up to `MAX_BYTES`.
"""

from __future__ import annotations

import os
import re
from typing import BinaryIO

MAX_BYTES = 256 * 2**20
"""A file from an archive or an address with more than these is refused: it would be held in memory."""

TAR = ".tar"

_MEMBER = TAR + "::"


def split_member(path: str) -> tuple[str, str] | None:
    """Archive and name of a member of a tar file; None for any other path.

    >>> split_member("shards/7.tar::cats/1.jpg"), split_member("shards/7.tar")
    (('shards/7.tar', 'cats/1.jpg'), None)
    """
    at = path.lower().find(_MEMBER)
    return None if at < 0 else (path[: at + len(TAR)], path[at + len(_MEMBER) :])


def is_address(path: str) -> bool:
    """Whether a path names something elsewhere, as `https://host/photo.jpg` does."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path) is not None


def is_elsewhere(path: str) -> bool:
    """Whether a path leads to an address or into a tar file, so that no file of a disk has its name."""
    return is_address(path) or (split_member(path) is not None and not os.path.lexists(path))


def file_below(folder: str | os.PathLike[str], path: str) -> str:
    """What to open for a path of a table whose relative paths start at `folder`; an address is never relative.

    >>> file_below("photos", "a/1.jpg"), file_below("photos", "s3://bucket/1.jpg")
    ('photos/a/1.jpg', 's3://bucket/1.jpg')
    """
    return path if is_address(path) else os.path.join(folder, path)


def open_elsewhere(path: str) -> BinaryIO | None:
    """The bytes of a picture that is no local file; None for one that is, there or not.

    Raises `ImageError` where there are none, or too many.
    """
    member = split_member(path)
    if member is not None and not os.path.lexists(path):  # a folder may really be called so
        from beholder.imaging.archive import open_member  # here, as below: most runs have local files only

        return open_member(*member)
    if is_address(path):
        from beholder.imaging.addresses import fetch

        return fetch(path)
    return None
