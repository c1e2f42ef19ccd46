"""How does this picture look to people? Quality and aesthetics scores, offline, in seconds.

>>> import beholder
>>> scorer = beholder.load()              # the model inside the package
>>> scorer.score("holiday.jpg")           # a path, a PIL image, an array, or a list of them  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from beholder.batch.run import score as score
    from beholder.restore.run import upscale as upscale
    from beholder.scoring.model import Model as Model
    from beholder.scoring.model import load as load
    from beholder.scoring.score import Score as Score
    from beholder.tical.recognize import recognize as recognize

# Names are resolved on first use, so that `import beholder` costs milliseconds.
_HOMES = {
    "load": "beholder.scoring.model",
    "score": "beholder.batch.run",
    "Model": "beholder.scoring.model",
    "Score": "beholder.scoring.score",
    "upscale": "beholder.restore.run",
    "recognize": "beholder.tical.recognize",
}

__all__ = ["Model", "Score", "__version__", "load", "recognize", "score", "upscale"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'beholder' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)
