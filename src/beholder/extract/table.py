"""Every extractor on one screen, and what one is: a pure function from a file, and what it learnt from a training part.

A new extractor is one new row, and a module with a `Config` and the functions that the row names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ValidationError

from beholder.errors import UserError
from beholder.extract.learnt import Learnt
from beholder.extract.limits import need

Reads = Literal["sound", "picture", "text"]


@dataclass(frozen=True)
class Row:
    """An extractor that is known by name."""

    name: str
    version: int
    """Raised whenever the same file and settings would give other numbers; a model refuses another version."""
    reads: Reads
    """A video has both sound and pictures."""
    home: str
    """Module with `Config`, as text: most of them import what not everybody has."""
    summary: str
    measure: str = "measure"
    """(source, config) -> what is kept of one file. Raises ExtractError for a file that can't be read."""
    fit: str | None = None
    """(measured, config) -> Learnt, from training samples only; None where nothing is learnt."""
    project: str | None = None
    """(measured, config, learnt) -> features (n, d)."""
    package: str | None = None
    """What has to be installed beside the extra `emotion`."""
    extra: str = "emotion"
    note: str = ""
    """A licence that is not as free as ours."""


_OPENSMILE = "openSMILE is for non-commercial use; read its licence before you install it"

EXTRACTORS = (
    Row(
        "logmel_stats",
        1,
        "sound",
        "beholder.extract.logmel",
        "130 statistics of log-mel bands, level and pitch; NumPy and SciPy only",
    ),
    Row(
        "egemaps",
        1,
        "sound",
        "beholder.extract.egemaps",
        "88 functionals of eGeMAPSv02, by openSMILE",
        package="opensmile",
        extra="opensmile",
        note=_OPENSMILE,
    ),
    Row(
        "hog_pca",
        1,
        "picture",
        "beholder.extract.hog",
        "gradients of a cropped grey face of 48 x 48, their principal components",
        fit="fit",
        project="project",
        package="skimage",
    ),
    Row(
        "picture_network",
        1,
        "picture",
        "beholder.extract.networks",
        "a transformer or convolutional network by folder or name: mean of its last state",
        measure="measure_picture",
        fit="fit_picture",
        project="project_picture",
        package="torchvision",
        extra="emotion-raw",
    ),
    Row(
        "tfidf_svd",
        1,
        "text",
        "beholder.extract.words",
        "words and pairs of words weighted by rarity, in 100 numbers",
        fit="fit",
        project="project",
    ),
    Row(
        "text_network",
        1,
        "text",
        "beholder.extract.networks",
        "a transformer by folder or name: mean of its last state",
        measure="measure_text",
        fit="fit_text",
        project="project_text",
    ),
)

Source = str | Path | Image.Image
"""A file; a text as it is; or a picture in memory."""

Measured = NDArray[np.float64] | str


@dataclass(frozen=True)
class Extractor:
    """A row with settings and, after `fit`, with what it learnt."""

    row: Row
    config: BaseModel
    learnt: Learnt | None = None
    """None before `fit`."""
    width: int = 0
    """Features of a sample; 0 before `fit`."""

    def check_installed(self) -> None:
        """Raises UserError where a package is missing, and says which extra has it."""
        if self.row.package is not None:
            need(self.row.package, self.row.extra, f"extractor {self.row.name}", self.row.note)

    def measure(self, source: Source) -> Measured:
        """What is kept of one source. Raises ExtractError where it can't be read."""
        measured: Measured = self._function(self.row.measure)(source, self.config)
        return measured

    def fit(self, measured: Sequence[Measured]) -> Extractor:
        """The same with what it learns from training samples, rounded to what is saved of it."""
        learnt = Learnt() if self.row.fit is None else self._function(self.row.fit)(measured, self.config)
        fitted = replace(self, learnt=learnt.rounded(np.float32))
        return replace(fitted, width=fitted.features(measured[:1]).shape[1])

    def features(self, measured: Sequence[Measured]) -> NDArray[np.float64]:
        """(n, d) of n > 0 samples."""
        if self.learnt is None:
            raise ValueError(f"{self.row.name} has not been fitted")
        if self.row.project is None:
            return np.stack(measured)  # type: ignore[arg-type]
        found: NDArray[np.float64] = self._function(self.row.project)(measured, self.config, self.learnt)
        return found

    def _function(self, name: str) -> Any:
        return getattr(import_module(self.row.home), name)


def row_of(name: str) -> Row:
    """The extractor of that name. Raises UserError for an unknown one."""
    row = next((row for row in EXTRACTORS if row.name == name), None)
    if row is None:
        raise UserError(f"no extractor is called {name!r}; there are {', '.join(row.name for row in EXTRACTORS)}")
    return row


def extractor(name: str, settings: dict[str, Any]) -> Extractor:
    """One by name, not fitted yet. Raises UserError for an unknown name or setting."""
    row = row_of(name)
    try:
        return Extractor(row, import_module(row.home).Config(**settings))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        known = ", ".join(import_module(row.home).Config.model_fields)
        raise UserError(f"extractor {name}: {where}: {first['msg']}; its settings are {known}") from error


def parse(words: str) -> tuple[str, Extractor]:
    """Modality and extractor of `MODALITY=NAME` or `MODALITY=NAME:SETTING=VALUE,...`, as typed on a command line."""
    modality, equals, asked = words.partition("=")
    name, colon, settings = asked.partition(":")
    if not modality or not equals or not name:
        raise UserError(f"--extract {words}: MODALITY=NAME is needed, such as voice=logmel_stats")
    pairs = [part.partition("=") for part in settings.split(",")] if colon else []
    if bad := [key for key, sign, _ in pairs if not sign]:
        raise UserError(f"--extract {words}: {bad[0]!r} is no SETTING=VALUE")
    return modality, extractor(name, {key: value for key, _, value in pairs})
