"""Pictures that nobody may learn from: whether a file is, byte for byte, one of a test part."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from beholder.data.manifest import Manifest


class HeldOut:
    """The pictures in the `test` split of some manifests. A file is hashed only where its size is that of a test file.

    Raises `ManifestError` for a manifest without test rows, which could only be a mistake.
    """

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        self._unhashed: defaultdict[int, list[tuple[Path, str]]] = defaultdict(list)
        self._hashes: dict[int, dict[str, str]] = {}
        for manifest in manifests:
            for path in manifest.select("test").paths():
                if path.is_file():  # what is not there can't be the same file
                    self._unhashed[path.stat().st_size].append((path, manifest.name))

    def owner(self, path: Path) -> str | None:
        """Name of a manifest that tests on the very same bytes; None if there is none, or no such file."""
        if not path.is_file():
            return None
        size = path.stat().st_size
        if size not in self._unhashed:
            return None
        if size not in self._hashes:
            self._hashes[size] = {_sha256(twin): name for twin, name in self._unhashed[size]}
        return self._hashes[size].get(_sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
