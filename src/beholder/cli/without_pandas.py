"""Keep pandas out of a process that makes no data frames: pyarrow imports it where it is there, for nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _NoPandas:
    """An import hook that has pandas look as if it were not installed.

    pyarrow imports it where it is there, to recognise what it is given: a second of start for data frames that we
    never make.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("not wanted here", name=name)


@contextmanager
def without_pandas() -> Iterator[None]:
    """Keep pandas out while the block runs; pyarrow looks for it once, and again only when a data frame is wanted."""
    sys.meta_path.insert(0, _NoPandas)
    try:
        yield
    finally:
        sys.meta_path.remove(_NoPandas)
