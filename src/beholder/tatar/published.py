"""The paper's numbers beside ours: one table over eight benchmarks, filled from what `beholder evaluate` leaves.

    python -m beholder.tatar.published runs/tatar/results -o bench/results
    python -m beholder.evaluate.tables docs/reproduce-tatar.md

`runs/tatar/results` holds a folder per benchmark, called after its data set, and one more with `-explained` behind the
name for scores out of full reasoning. What is not there yet is a dash.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from beholder.batch.files import replacing
from beholder.evaluate.result import RESULT_FILE, Result, read_result

DASH = "–"


@dataclass(frozen=True)
class Benchmark:
    """One data set of the tables: SRCC and PLCC as the authors report them."""

    title: str
    data: str
    """Name of the importer, and of the folder of our result."""
    n: int
    """Pictures that the authors test on."""
    srcc: float
    plcc: float
    unipercept: str
    """SRCC/PLCC of the released UniPercept, which is stronger on most sets and trained on far more."""


BENCHMARKS = (
    Benchmark("KonIQ-10k (trained on)", "koniq10k", 2_015, 0.941, 0.942, ".940/.949"),
    Benchmark("SPAQ", "spaq", 2_224, 0.897, 0.894, ".904/.895"),
    Benchmark("KADID-10k", "kadid10k", 2_000, 0.731, 0.727, ".872/.870"),
    Benchmark("PIPAL", "pipal", 4_640, 0.501, 0.498, ".581/.594"),
    Benchmark("ArtiMuse-10K (trained on)", "artimuse10k", 1_002, 0.586, 0.595, ".746/.738"),
    Benchmark("AVA", "ava", 19_930, 0.518, 0.524, ".589/.577"),
    Benchmark("TAD66K", "tad66k", 14_079, 0.334, 0.349, ".336/.346"),
    Benchmark("FLICKR-AES", "flickr-aes", 4_737, 0.604, 0.633, ".688/.681"),
)
"""Section 10 of our spec: quality first, then aesthetics."""

EXPLAINED = "-explained"


def published_table(results: Path) -> dict[str, object]:
    """The table as `evaluate.tables.render_stored` reads it. Raises UserError for a damaged result."""
    rows = []
    for one in BENCHMARKS:
        ours = [_cell(_read(results / f"{one.data}{suffix}")) for suffix in ("", EXPLAINED)]
        rows.append([one.title, f"{one.n:,}", one.unipercept, f"{one.srcc:.3f} / {one.plcc:.3f}", *ours])
    columns = ["data", "their pictures", "UniPercept", "TATAR, as published", "ours, one pass", "ours, with reasons"]
    caption = (
        "SRCC / raw PLCC [95 % interval of SRCC], pictures scored of all. Failed answers are not in the numbers; "
        "`result.json` has them with failures set to the mean as well."
    )
    return {"table": {"columns": columns, "rows": rows}, "caption": caption}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table as a JSON file."""
    parser = argparse.ArgumentParser(prog="python -m beholder.tatar.published", description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("bench/results"))
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    with replacing(given.out / "tatar-paper.json") as temporary:
        content = json.dumps(published_table(given.results), indent=1, ensure_ascii=False)
        temporary.write_text(content + "\n", encoding="utf-8")
    return 0


def _read(folder: Path) -> Result | None:
    return read_result(folder) if (folder / RESULT_FILE).is_file() else None


def _cell(result: Result | None) -> str:
    if result is None or (srcc := result.metrics["srcc"]).value is None:
        return DASH
    plcc = result.metrics["plcc_raw"].value
    interval = "" if srcc.low is None or srcc.high is None else f" [{srcc.low:.3f}, {srcc.high:.3f}]"
    both = f"{srcc.value:.3f} / {DASH if plcc is None else f'{plcc:.3f}'}"
    return f"{both}{interval}, {result.n_scored:,} of {result.n_total:,}"


if __name__ == "__main__":
    raise SystemExit(main())
