"""MATLAB files, as some sets ship their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from beholder.data.columns import ManifestError


def read_mat(file: Path, key: str) -> NDArray[Any]:
    """Array stored under `key` in a MATLAB file. Raises `ManifestError` without the file, the key or SciPy."""
    if not file.is_file():
        raise ManifestError(f"{file} is missing")
    try:
        from scipy.io import loadmat
    except ModuleNotFoundError:
        raise ManifestError(f"reading {file.name} needs SciPy. Try: pip install scipy") from None
    content = loadmat(file)
    if key not in content:
        raise ManifestError(f"{file} holds no {key!r}; it holds {', '.join(k for k in content if k[:2] != '__')}")
    array: NDArray[Any] = content[key]
    return array
