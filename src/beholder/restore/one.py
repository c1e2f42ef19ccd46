"""One picture file to one finished file, or to the reason why not."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from beholder.batch.files import remove_leftovers, replacing
from beholder.errors import UserError
from beholder.imaging.status import ImageError
from beholder.restore.encode import ENCODINGS, check_holds, write_picture
from beholder.restore.enlarge import Method, enlarge, scratch_bytes
from beholder.restore.names import Job
from beholder.restore.reader import Reader
from beholder.restore.rows import Row
from beholder.restore.tiles import TileModel

OnTiles = Callable[[int, int], None]
"""Told how many tiles of the picture are done, and of how many."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def enlarge_file(
    job: Job, reader: Reader, model: TileModel, method: Method, *, text: Mapping[str, str], on_tiles: OnTiles
) -> Row:
    """Enlarge a picture file; the result has its name only when it is complete. `text` is written into a PNG.

    What is wrong with this picture alone is its row. Raises `UserError` where there is no room left on disk.
    """
    try:
        original = reader.read(job.path)
        size = method.size(*original.size)
        encoding = ENCODINGS[job.out.suffix.lower()]
        format_note = check_holds(encoding, original, size)
    except ImageError as error:
        return Row(job.path, None, error.status, str(error))
    if job.out.is_dir():
        return Row(job.path, None, "unwritable", f"{job.out}: is a folder")
    n_done, n_tiles = 0, method.n_tiles(original)

    def count(n: int) -> None:
        nonlocal n_done
        n_done += n
        on_tiles(n_done, n_tiles)

    on_tiles(0, n_tiles)
    folder = job.out.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(job.out)
        _check_room(folder, scratch_bytes(original, method))
        bands = enlarge(original, model, method, scratch=folder, on_tiles=count)
        with replacing(job.out) as temporary, closing(bands):
            write_picture(temporary, bands, encoding, original, size, text)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise _no_room(folder) from error
        return Row(job.path, None, "unwritable", f"{job.out}: {error.strerror or error}")
    except MemoryError:
        reason = "not enough memory. Try a smaller --batch-size, and a .png, which is written row by row"
        return Row(job.path, None, "too_large", reason)
    notes = "; ".join(note for note in (original.note, format_note) if note)
    return Row(job.path, job.out, "ok", None, notes or None, original.size, size)


def _check_room(folder: Path, n_bytes: int) -> None:
    """Better now than after an hour of work."""
    if shutil.disk_usage(folder).free < n_bytes:
        raise _no_room(folder, n_bytes)


def _no_room(folder: Path, n_bytes: int | None = None) -> UserError:
    free = shutil.disk_usage(folder).free
    wanted = f"; the next picture needs {n_bytes / 1e6:,.1f} MB for its work" if n_bytes else ""
    return UserError(
        f"no room left in {folder}: {free / 1e6:,.1f} MB are free{wanted}. What is finished is kept: make room, and "
        "the same command goes on from there"
    )
