"""How much of a file is read, and the one failure that is a row rather than a stop."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from beholder.errors import UserError

MAX_SECONDS = 300.0
"""Of sound and video. A clip that shows one emotion lasts seconds."""
MAX_BYTES = 1_000_000_000
MAX_PIXELS = 50_000_000
MAX_CHARACTERS = 100_000

MIN_SECONDS = 0.1
"""Shorter sound has nothing to measure."""


class ExtractError(UserError):
    """One clip that can't be read. The message says why, and becomes the error of its row."""


def check_file(path: Path) -> None:
    """Raises ExtractError unless `path` is a regular file of 1 to `MAX_BYTES` bytes, so that no pipe is opened."""
    try:
        if not path.is_file():
            raise ExtractError(f"{path} is {'no regular file' if path.exists() else 'not there'}")
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise ExtractError(f"{path} can't be read: {error}") from error
    if not 0 < size <= MAX_BYTES:
        raise ExtractError(f"{path} has {size} bytes; 1 to {MAX_BYTES:,} are read")
    if not os.access(path, os.R_OK):
        raise ExtractError(f"{path} can't be read: no permission")


def check_seconds(seconds: float, path: Path) -> None:
    """Raises ExtractError where a clip is too long or too short."""
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise ExtractError(f"{path} lasts {seconds:.2f} s; {MIN_SECONDS} to {MAX_SECONDS:g} s are read. Cut it")


def need(package: str, extra: str, what: str, note: str = "") -> None:
    """Raises UserError where a package of an extra is not installed."""
    if find_spec(package) is None:
        hint = f" ({note})" if note else ""
        raise UserError(f"{what} needs {package}, which is not installed. Try: pip install '.[{extra}]'{hint}")
