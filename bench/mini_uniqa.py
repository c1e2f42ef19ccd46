"""Is beholder-mini better with a UniQA encoder? Both on the validation pictures of both tasks, paired by group.

    python bench/mini_uniqa.py MODEL_FOLDER QUALITY_MANIFEST AESTHETICS_MANIFEST

`MODEL_FOLDER` is what `beholder train mini recipes/mini/uniqa.yaml` left (`OUT/model`). It is shipped only if the
interval of its lead in SRCC lies above 0 for a task and not below 0 for the other.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from record import RESULTS, Table, model_facts, publish, script

from beholder.evaluate.bootstrap import Estimate
from beholder.evaluate.compare import compare
from beholder.evaluate.run import evaluate
from beholder.scoring.table import DEFAULT

METRICS = ("srcc", "plcc_logistic4")


def shown(found: Estimate, sign: str = "") -> str:
    """A value with its 95 % interval."""
    if found.value is None or found.low is None or found.high is None:
        return "–"
    return f"{found.value:{sign}.3f} [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("manifests", type=Path, nargs=2, metavar="MANIFEST")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    rows, measured = [], {}
    with tempfile.TemporaryDirectory(prefix="beholder-bench-") as scratch:
        for manifest in given.manifests:
            names = {str(given.model): "with", DEFAULT: "without"}
            found = {
                name: evaluate(model, manifest, out=Path(scratch) / manifest.name / name, split="val")
                for model, name in names.items()
            }
            difference = compare(*(Path(scratch) / manifest.name / name for name in found))
            task, n = found["with"].task, found["with"].n_scored
            for metric in METRICS:
                lead = difference.overall.metrics[metric]
                values = [shown(found[name].metrics[metric]) for name in ("without", "with")]
                rows.append([f"{task}, {metric.split('_')[0].upper()}, {n} pictures", *values, shown(lead, "+")])
            measured[task] = {
                "manifest_sha256": found["with"].manifest_sha256,
                "difference": difference.model_dump(mode="json")["overall"],
                **{name: result.model_dump(mode="json")["metrics"] for name, result in found.items()},
            }
    publish(
        "mini-uniqa",
        "beholder-mini without and with the picture tower of a nano UniQA encoder, pre-trained on texts about the same "
        "training pictures, on validation pictures",
        Table(["", "without", "with", "difference"], rows),
        measured=measured | {"models": {name: model_facts(model) for model, name in names.items()}},
        notes=["Brackets: 95 % intervals, groups resampled; the difference is paired."],
        busy_before=None,  # scores do not depend on it
        folder=given.results,
    )


if __name__ == "__main__":
    script(main)
