"""Pickles of arrays and plain containers, read without running anything else that they name.

A pickle is a program: it may call whatever Python can import. Here it can call what is in one table, and what the table
holds is narrower than its names: no entry reserves more memory than the pickle brings data for.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import UserError

MAX_BYTES = 20_000_000_000
"""Of a file that is read unless the caller says otherwise: the largest published one has about 13 GB."""

_BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    OverflowError,
    MemoryError,
    RecursionError,
)
"""What damaged pickles raise, of the classes that the standard library names ("and possibly others")."""

_NDARRAY = object()
"""What `numpy.ndarray` is called in a pickle: a name to hand to `_reconstruct`, and nothing that can be called."""


class _Forbidden(Exception):
    """The pickle names something that is not in the table."""


def unpickle(file: Path, max_bytes: int = MAX_BYTES) -> Any:
    """What is in `file`: numbers, text, containers, numpy arrays.

    Raises UserError for a file above `max_bytes`, one that is damaged, and one that names any other global, by name.
    """
    if not file.is_file():
        raise UserError(f"no file {str(file)!r}")
    if (size := file.stat().st_size) > max_bytes:
        raise UserError(f"{file} has {size / 1e9:.1f} GB; at most {max_bytes / 1e9:g} are read. Raise --max-gb")
    try:
        with file.open("rb") as handle:
            content = _Restricted(handle, encoding="latin1").load()
        _check_size(content, size)
        return content
    except _Forbidden as error:
        raise UserError(
            f"{file} wants to call {error}, which data have no need of; nothing of it was run. "
            "Don't open it with pickle.load; ask where it came from"
        ) from None
    except _BROKEN as error:
        raise UserError(f"{file} can't be read as a pickle of arrays: {type(error).__name__} {error}") from error


class _Restricted(pickle._Unpickler):
    """The standard library's own, in Python.

    Its memo is a dict; that of the faster one is an array that a few bytes of a pickle can have grow without limit.
    """

    def find_class(self, module: str, name: str) -> Any:
        modern = module.replace("numpy.core", "numpy._core").replace("__builtin__", "builtins")
        if (found := _ALLOWED.get(f"{modern}.{name}")) is None:
            raise _Forbidden(f"{module}.{name}")
        return found


def _check_size(content: Any, most: int) -> None:
    """Containers that hold one another many times are short in a file, and endless to whoever copies them."""
    waiting, n = [content], 0
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list | tuple | set | frozenset):
            if (n := n + len(one)) > most:
                raise pickle.UnpicklingError("its lists hold more entries than the file has bytes")
            waiting.extend(one.values() if isinstance(one, dict) else one)


def _reconstruct(kind: object, shape: object, _: object) -> NDArray[Any]:
    """An empty array, as numpy makes one before its content is set."""
    if kind is not _NDARRAY or shape != (0,):
        raise pickle.UnpicklingError(f"an array begins as ndarray of shape (0,), not of {shape!r}")
    return np.empty(0, np.int8)


def _scalar(dtype: np.dtype[Any], data: bytes | str) -> Any:
    if dtype.hasobject:
        raise pickle.UnpicklingError("a numpy scalar of type object")
    return import_module("numpy._core.multiarray").scalar(dtype, data)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How old protocols bring bytes. Other codecs compress, or need more than linear time."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED: dict[str, Callable[..., Any] | object] = {
    "numpy.ndarray": _NDARRAY,
    "numpy.dtype": np.dtype,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy._core.numeric._frombuffer": import_module("numpy._core.numeric")._frombuffer,
    "builtins.list": list,
    "builtins.dict": dict,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "collections.OrderedDict": OrderedDict,
    "collections.defaultdict": defaultdict,
    "_codecs.encode": _encode,
}
