"""The paper's numbers beside ours: three tables, filled from the summaries that the protocols leave.

    python -m beholder.uniqa.published runs/uniqa -o bench/results
    python -m beholder.evaluate.tables docs/reproduce-uniqa.md

`runs/uniqa` holds a folder per recipe, called after it, as `beholder train uniqa` makes them. What is not there yet is
a dash.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from beholder.batch.files import replacing
from beholder.uniqa.protocol import SUMMARY_FILE, Line, Summary

DASH = "–"


@dataclass(frozen=True)
class Full:
    """One data set of the full-label tables: SRCC and PLCC that the paper gives."""

    title: str
    run: str
    """Name of the recipe."""
    srcc: float
    plcc: float
    other: str
    """The best other method of the table, by SRCC."""


FULL = (
    Full("TID2013", "tid2013", 0.916, 0.931, "DEIQT .892/.908"),
    Full("CSIQ", "csiq", 0.963, 0.973, "Re-IQA .947/.960"),
    Full("KADID-10k", "kadid10k", 0.940, 0.943, "LoDA .931/.936"),
    Full("CLIVE", "clive", 0.890, 0.905, "Q-Align .931/.921"),
    Full("KonIQ-10k", "koniq10k", 0.933, 0.941, "Q-Align .935/.934"),
    Full("SPAQ", "spaq", 0.924, 0.928, "LoDA .925/.928"),
    Full("AVA", "ava", 0.776, 0.776, "VILA .774/.774"),
    Full("AADB", "aadb", 0.786, 0.787, "TAVAR .761/.763"),
    Full("LIVE (a later table)", "live", 0.981, 0.983, DASH),
)
"""Tables 1 to 3 of the paper, and LIVE from the authors' later one."""

ZERO: dict[str, tuple[str, float, float]] = {
    "CLIVE": ("few-label-clive", 0.638, 0.790),
    "KonIQ-10k": ("few-label-koniq10k", 0.667, 0.806),
    "AGIQA-3K": ("few-label-agiqa3k", 0.744, 0.752),
}
"""Table 4: SRCC without labels, one prompt group and the ensemble."""

FEW: dict[str, tuple[str, dict[str, tuple[float, float, float]]]] = {
    "CLIVE": ("few-label-clive", {"single": (0.813, 0.836, 0.850), "ensemble": (0.828, 0.849, 0.853)}),
    "KonIQ-10k": ("few-label-koniq10k", {"single": (0.772, 0.842, 0.870), "ensemble": (0.844, 0.860, 0.876)}),
    "LIVE": ("few-label-live", {"single": (0.962, 0.956, 0.974), "ensemble": (0.963, 0.958, 0.976)}),
}
"""Table 5: SRCC with 50, 100 and 200 labels."""

COUNTS = (50, 100, 200)


def published_tables(runs: Path) -> dict[str, dict[str, object]]:
    """Tables by name, as `evaluate.tables.render_stored` reads them; ours from `runs/NAME/summary.json`."""
    full = []
    for one in FULL:
        lines = _lines(runs / one.run)
        ours = [_cell(lines.get(which), with_plcc=True) for which in ("best", "last")]
        full.append([one.title, one.other, f"{one.srcc:.3f} / {one.plcc:.3f}", *ours])
    zero = []
    for title, (run, *values) in ZERO.items():
        lines = _lines(runs / run)
        for prompts, value in zip(("single", "ensemble"), values, strict=True):
            zero.append([f"{title}, {prompts}", f"{value:.3f}", _cell(lines.get(f"zero-shot {prompts}"))])
    few = []
    for title, (run, by_prompts) in FEW.items():
        lines = _lines(runs / run)
        for prompts, numbers in by_prompts.items():
            for count, value in zip(COUNTS, numbers, strict=True):
                ours_few = _cell(lines.get(f"{count} labels {prompts}"))
                few.append([f"{title}, {prompts}, {count} labels", f"{value:.3f}", ours_few])
    return {
        "uniqa-paper-full": _table(
            ["data", "best other, as published", "UniQA, as published", "ours, best epoch", "ours, last epoch"],
            full,
            "SRCC / PLCC. Ours: median of 10 [quartiles of SRCC]; the epoch is chosen on held-out training pictures.",
        ),
        "uniqa-paper-zero-shot": _table(["data, prompts", "as published", "ours"], zero, "SRCC without any label."),
        "uniqa-paper-few-label": _table(
            ["data, prompts, labels", "as published", "ours"], few, "SRCC. Ours: median of 10 draws [quartiles]."
        ),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables as JSON files."""
    parser = argparse.ArgumentParser(prog="python -m beholder.uniqa.published", description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("bench/results"))
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, table in published_tables(given.runs).items():
        with replacing(given.out / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _lines(folder: Path) -> dict[str, Line]:
    file = folder / SUMMARY_FILE
    if not file.is_file():
        return {}
    summary = Summary.model_validate_json(file.read_text(encoding="utf-8"))
    return {line.setting: line for line in summary.lines}


def _cell(line: Line | None, *, with_plcc: bool = False) -> str:
    if line is None:
        return DASH
    plcc = f" / {line.plcc.median:.3f}" if with_plcc else ""
    return f"{line.srcc.median:.3f}{plcc} [{line.srcc.low:.3f}, {line.srcc.high:.3f}]"


def _table(columns: list[str], rows: list[list[str]], caption: str) -> dict[str, object]:
    return {"table": {"columns": columns, "rows": rows}, "caption": caption}


if __name__ == "__main__":
    raise SystemExit(main())
