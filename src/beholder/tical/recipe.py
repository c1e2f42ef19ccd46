"""The recipe of a public benchmark: which table, which settings, how often. An unknown key is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from beholder.errors import UserError
from beholder.tical.bundle import Bundle, read_bundle
from beholder.tical.config import VARIANTS, Task, TicalConfig
from beholder.tical.inputs import Array, cut
from beholder.tical.levels import level_values


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """Where data come from that can't be given with the recipe."""

    file: str
    """As its authors name it."""
    sha256: str | None = None
    """Of the published file; None where everybody makes their own."""
    how: str
    """What to do with it."""


class RandomData(_Strict):
    """Noise in the shape of the data: tells whether a recipe runs, and nothing else."""

    samples: dict[Literal["train", "valid", "test"], int]
    shapes: dict[str, tuple[int, ...]]
    """Per modality (features,) or (steps, features)."""
    with_lengths: tuple[str, ...] = ()
    """Modalities whose samples have unequal lengths."""
    classes: int = Field(default=6, ge=2)
    """Of classification."""
    unimodal_labels: bool = False
    """Whether there are labels of single modalities."""


class TicalRecipe(_Strict):
    """One protocol: every table learned from and measured with every seed."""

    task: Task
    data: RandomData | tuple[Path, ...]
    """Tables with the splits train, valid and test; one, or one per fold."""
    source: Source | None = None
    measures: Literal["sentiment", "sims"] = "sentiment"
    """Of numbers."""
    variant: str = "published"
    """A row of `VARIANTS`, which `settings` change."""
    settings: dict[str, Any] = Field(default_factory=dict)
    seeds: tuple[int, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _settings_are_known(self) -> Self:
        if self.variant not in VARIANTS:
            raise ValueError(f"variant {self.variant!r} is unknown; it can be {', '.join(VARIANTS)}")
        TicalConfig(**self.all_settings, task=self.task)
        return self

    @property
    def all_settings(self) -> dict[str, Any]:
        """Those of the variant, as changed."""
        return {**VARIANTS[self.variant], **self.settings}


def tables_of(recipe: TicalRecipe) -> dict[str, Path | None]:
    """The tables by the name of the fold; None for random data.

    Raises UserError where one is not there, with the file that it is made from, its sha256, and what to do.
    """
    if isinstance(recipe.data, RandomData):
        return {"all": None}
    for table in recipe.data:
        if not table.is_file():
            raise UserError(f"no {table}. {_what_to_do(recipe.source)}")
    names = ["all"] if len(recipe.data) == 1 else [f"fold-{i}" for i in range(1, len(recipe.data) + 1)]
    return dict(zip(names, recipe.data, strict=True))


def read_table(recipe: TicalRecipe, table: Path | None) -> Bundle:
    """What is learned from and measured. Raises UserError where it has no split."""
    bundle = read_bundle(table) if table is not None else _random_bundle(recipe)
    if bundle.split is None:
        raise UserError(f"{table} has no 'split'; the protocol needs train, valid and test")
    return bundle


def _what_to_do(source: Source | None) -> str:
    if source is None:
        return "The recipe says not where it comes from"
    digest = f" (sha256 {source.sha256})" if source.sha256 else ""
    return f"It is made from {source.file}{digest}: {source.how}"


def _random_bundle(recipe: TicalRecipe) -> Bundle:
    assert isinstance(recipe.data, RandomData)
    data, rng = recipe.data, np.random.default_rng(0)
    split = np.repeat(list(data.samples), list(data.samples.values()))
    n = len(split)
    x: dict[str, Array] = {}
    for m, shape in data.shapes.items():
        x[m] = rng.normal(size=(n, *shape))
        if len(shape) == 2:
            x[m] = x[m].astype(np.float32)
        if m in data.with_lengths:
            x[m] = cut(x[m], rng.integers(1, shape[0] + 1, n), m)
    values = level_values(TicalConfig(**recipe.all_settings).label_edges)

    def label() -> NDArray[Any]:
        if recipe.task == "regression":
            return np.asarray(values[np.arange(n) % len(values)] + rng.normal(0, 0.01, n))
        return np.array([f"class {k}" for k in np.arange(n) % data.classes])

    unimodal = {m: label() for m in x} if data.unimodal_labels else {}
    return Bundle(x, np.arange(n), label(), np.arange(n) // 2, split, unimodal)
