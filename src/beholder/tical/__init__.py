"""Emotion from several modalities that may disagree: an independent implementation of the published idea of TiCAL."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from beholder.tical.classifier import TicalClassifier as TicalClassifier
    from beholder.tical.folder import load as load
    from beholder.tical.regressor import TicalRegressor as TicalRegressor

# Resolved on first use: the names of embedded models are asked for without torch.
_HOMES = {
    "TicalClassifier": "beholder.tical.classifier",
    "TicalRegressor": "beholder.tical.regressor",
    "load": "beholder.tical.folder",
}

__all__ = ["TicalClassifier", "TicalRegressor", "load"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'beholder.tical' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)
