"""Published numbers of other models beside our runs: tables filled from the summaries that recipes leave.

    python -m beholder.tical.published runs/tical -o bench/results
    python -m beholder.evaluate.tables docs/reproduce-tical.md

`runs/tical` holds a folder per recipe, called after it, as `beholder emotion run` makes them. What is not there yet is
a dash. The numbers of others are from the tables of thuiar/MMSA, whose aligned and unaligned runs are mixed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from beholder.batch.files import replacing
from beholder.tical.protocol import SUMMARY, Mean, Summary

DASH = "–"

Row = tuple[float, float, float, float]
"""Acc-2 without 0, Acc-7, MAE, correlation; all times 100."""

MOSI: dict[str, Row] = {
    "TFN": (79.1, 34.5, 94.7, 67.3),
    "MulT": (81.0, 36.9, 88.0, 70.2),
    "MISA": (83.5, 41.4, 77.7, 77.8),
    "Self-MM": (85.5, 46.7, 70.8, 79.6),
    "TETFN": (85.4, 45.8, 70.8, 79.8),
    "CENet": (85.2, 44.9, 72.5, 79.5),
}
MOSEI: dict[str, Row] = {
    "TFN": (81.9, 51.6, 57.3, 71.4),
    "MulT": (84.6, 52.8, 55.9, 73.3),
    "Self-MM": (85.2, 53.9, 53.1, 76.5),
    "TETFN": (86.2, 53.9, 53.7, 77.0),
    "CENet": (86.4, 54.3, 52.6, 77.8),
}

_PEERS_TELL = ("acc2_non0", "acc7", "mae", "corr")
_TITLES = {
    "acc2_non0": "Acc-2, without 0",
    "acc7": "Acc-7",
    "mae": "MAE",
    "corr": "correlation",
    "acc2_has0": "Acc-2, 0 is positive",
    "f1_non0": "F1, without 0",
    "f1_has0": "F1, 0 is positive",
    "acc5": "Acc-5",
}
_OTHERS = {
    "CH-SIMS": (
        "simsv1",
        {"acc2": "Acc-2", "f1": "F1", "acc3": "Acc-3", "acc5": "Acc-5", "mae": "MAE", "corr": "correlation"},
    ),
    "DFEW": ("dfew", {"wa": "WAR", "ua": "UAR"}),
    "MER2023": ("mer2023", {"weighted_f1": "weighted F1", "wa": "accuracy"}),
}


def published_tables(runs: Path) -> dict[str, dict[str, object]]:
    """Tables by name, as `evaluate.tables.render_stored` reads them; ours from `runs/RECIPE/summary.json`."""
    others = [
        [f"{title}, {words}", _cell(_measures(runs / run).get(name))]
        for title, (run, names) in _OTHERS.items()
        for name, words in names.items()
    ]
    return {
        "tical-paper-mosi": _beside(MOSI, [runs / "mosi_aligned", runs / "mosi_unaligned"]),
        "tical-paper-mosei": _beside(MOSEI, [runs / "mosei_aligned", runs / "mosei_unaligned"]),
        "tical-paper-others": {
            "table": {"columns": ["data, measure", "our run"], "rows": others},
            "caption": "All times 100. Ours: mean over seeds and folds (standard deviation).",
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables as JSON files."""
    parser = argparse.ArgumentParser(prog="python -m beholder.tical.published", description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("bench/results"))
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, table in published_tables(given.runs).items():
        with replacing(given.out / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _beside(peers: Mapping[str, Row], runs: Sequence[Path]) -> dict[str, object]:
    ours = [_measures(run) for run in runs]
    rows = []
    for name, words in _TITLES.items():
        place = _PEERS_TELL.index(name) if name in _PEERS_TELL else None
        theirs = [DASH if place is None else f"{row[place]:.1f}" for row in peers.values()]
        rows.append([words, *theirs, *(_cell(found.get(name)) for found in ours)])
    return {
        "table": {"columns": ["", *peers, "our run, aligned", "our run, unaligned"], "rows": rows},
        "caption": (
            "All times 100. Of others: MMSA's own tables, aligned and unaligned mixed. Ours: mean over seeds "
            "(standard deviation)."
        ),
    }


def _measures(run: Path) -> dict[str, Mean]:
    file = run / SUMMARY
    return Summary.model_validate_json(file.read_text(encoding="utf-8")).measures if file.is_file() else {}


def _cell(found: Mean | None) -> str:
    if found is None or found.mean is None:
        return DASH
    return f"{100 * found.mean:.1f}" + ("" if found.sd is None else f" ({100 * found.sd:.1f})")


if __name__ == "__main__":
    raise SystemExit(main())
