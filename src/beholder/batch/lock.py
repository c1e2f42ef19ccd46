"""One run at a time per output file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from beholder.batch.plan import LOCK_FILE, parts_folder
from beholder.errors import UserError


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other runs off `out` while the block runs. Raises `UserError` where another run is at it.

    The kernel frees the lock when its process ends, however it ends, so a killed run never blocks `--resume`. The file
    that carries it lies in `OUT.parts`; the folder goes with it, unless there are parts in it.
    """
    if sys.platform == "win32":
        yield
        return
    file = _lock_file(out)
    try:
        yield
    finally:
        parts = parts_folder(out)
        (parts / LOCK_FILE).unlink(missing_ok=True)  # while it is held: nobody else can mean this file by that name
        with suppress(OSError):  # there are parts in it
            parts.rmdir()
        file.close()


def _lock_file(out: Path) -> TextIO:
    """The lock file, open and locked, with our process id in it."""
    path = parts_folder(out) / LOCK_FILE
    while True:
        path.parent.mkdir(exist_ok=True)
        try:
            file = path.open("a+", encoding="utf-8")
        except FileNotFoundError:  # the run before removed the folder at this very moment
            continue
        if not _lock(file):
            file.seek(0)
            pid = file.read() or "unknown"
            file.close()
            raise UserError(
                f"another run is writing {out} (process {pid}). Wait until it has ended, or choose another name with -o"
            )
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
                return file
        file.close()  # the run before has deleted this file between our open and our lock


def _lock(file: TextIO) -> bool:
    """Whether nobody else holds the lock; also true where the file system has no locks, as some network drives."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
