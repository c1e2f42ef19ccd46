"""A recipe run to its end: every fold and seed a model and a result, and a summary of all."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from beholder.batch.files import replacing
from beholder.errors import UserError
from beholder.tical.bundle import Bundle
from beholder.tical.evaluation import fit_bundle, mean_consistency, measure_model
from beholder.tical.folder import save
from beholder.tical.recipe import TicalRecipe, read_table, tables_of

RESULT, SUMMARY, MODEL = "result.json", "summary.json", "model"

_VERSIONS = ("beholder", "torch", "transformers", "geoopt", "scikit-learn", "numpy")


class Mean(BaseModel):
    """One measure over all folds and seeds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: float | None
    """None where one of the results has no value."""
    sd: float | None
    """Over results, with n - 1; None of a single one."""


class Summary(BaseModel):
    """What a recipe gave."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int
    """Results."""
    measures: dict[str, Mean]


def run_recipe(recipe: TicalRecipe, out: Path, on_done: Callable[[str], None] = print) -> Summary:
    """Train and measure what `out` does not hold yet, one folder per fold and seed, and write the summary.

    The test part is read once per model, after the valid part chose its epoch. Raises UserError where a table is
    missing, and where `out` holds results of another recipe or of other data.
    """
    results = []
    for fold, table in tables_of(recipe).items():
        digest = None if table is None else _digest(table)
        bundle: Bundle | None = None  # read only where something is to be done
        for seed in recipe.seeds:
            folder = out / fold / f"seed-{seed}"
            facts = json.loads(
                json.dumps({"recipe": recipe.model_dump(mode="json"), "data_sha256": digest, "seed": seed})
            )
            if (folder / RESULT).is_file():
                results.append(_stored(folder / RESULT, facts))
                continue
            bundle = bundle or read_table(recipe, table)
            results.append(_run(recipe, bundle, folder, facts))
            on_done(f"{fold}, seed {seed}: {folder / RESULT}")
    summary = summarise(results)
    with replacing(out / SUMMARY) as temporary:
        temporary.write_text(summary.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return summary


def summarise(results: list[dict[str, Any]]) -> Summary:
    """Mean and standard deviation of every measure that all results have."""
    measures = {}
    for name, found in results[0]["test"].items():
        if isinstance(found, dict) and "value" in found:
            values = [one["test"][name]["value"] for one in results]
            known = None not in values
            measures[name] = Mean(
                mean=float(np.mean(values)) if known else None,
                sd=float(np.std(values, ddof=1)) if known and len(values) > 1 else None,
            )
    return Summary(n=len(results), measures=measures)


def _run(recipe: TicalRecipe, bundle: Bundle, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    model = fit_bundle(bundle, recipe.all_settings, recipe.task, facts["seed"])
    shutil.rmtree(folder / MODEL, ignore_errors=True)  # of a run that was stopped before its result
    save(model, folder / MODEL, card={"trained_on": facts["data_sha256"] or "random data", "seed": facts["seed"]})
    result = {
        **facts,
        "epoch": model.fit_.epoch,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _VERSIONS}},
        "mean_consistency": mean_consistency(model, bundle),
        "test": measure_model(model, bundle.part("test"), recipe.measures),
    }
    with replacing(folder / RESULT) as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _stored(file: Path, facts: dict[str, Any]) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    for name, ours in facts.items():
        if stored.get(name) != ours:
            raise UserError(
                f"{file} is of another {name.replace('_', ' ')}; choose another folder with -o, or delete this one"
            )
    return stored


def _digest(table: Path) -> str:
    with table.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
