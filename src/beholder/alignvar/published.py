"""The paper's numbers beside ours: tables that are filled from what `beholder evaluate restoration` leaves.

    python -m beholder.alignvar.published runs/restoration/results -o bench/results
    python -m beholder.evaluate.tables docs/reproduce-alignvar.md

`runs/restoration/results` holds a folder per row, called as in `BENCHMARKS` and `ABLATION`. What is not there yet is a
dash. The published numbers are second-hand: from a reading of the paper (section 11 of our spec), not from its authors'
files; a number that was not read is a dash, too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from beholder.batch.files import replacing
from beholder.evaluate.restored_result import METRICS, RESTORATION_FILE, Restoration, read_restoration

DASH = "–"

METHODS = ("BSRGAN", "Real-ESRGAN", "SwinIR-GAN", "StableSR", "DiffBIR", "VARSR", "AlignVAR")


@dataclass(frozen=True)
class Benchmark:
    """One metric on one set, as published for each of `METHODS`."""

    data: str
    result: str
    """Name of the folder of our result."""
    metric: str
    """As in `restored_result.METRICS`."""
    published: tuple[str, ...]


def _row(data: str, result: str, metric: str, numbers: str) -> Benchmark:
    return Benchmark(data, result, metric, tuple(DASH if word == "-" else word for word in numbers.split()))


BENCHMARKS = (
    _row("DIV2K-Val", "div2k", "psnr", "24.42 24.30 23.77 23.26 23.49 24.41 24.35"),
    _row("DIV2K-Val", "div2k", "ssim", ".6164 .6324 .6186 .5670 .5568 .6189 .6021"),
    _row("DIV2K-Val", "div2k", "lpips", ".3511 .3267 .3910 .3228 .3638 .2985 .2955"),
    _row("DIV2K-Val", "div2k", "fid", "50.99 44.34 44.45 28.32 34.55 28.64 25.71"),
    _row("DIV2K-Val", "div2k", "maniqa", ".3547 .3756 .3411 .4173 .4598 .4137 .4665"),
    _row("DIV2K-Val", "div2k", "clipiqa", ".5253 .5205 - .6752 .6731 .6312 .6754"),
    _row("RealSR", "realsr", "psnr", "- - - - - - 26.11"),
    _row("RealSR", "realsr", "musiq", "- - - - - 66.65 68.53"),
    _row("RealSR", "realsr", "maniqa", "- - - - - - .4553"),
    _row("RealSR", "realsr", "clipiqa", "- - - - - .5953 .6784"),
    _row("DRealSR", "drealsr", "musiq", "- - - - - 62.66 63.83"),
)

ABLATION = (
    ("full", "realsr", ("26.11", ".4553", "68.53")),
    ("without SCA", "realsr-no-sca", (DASH, ".4351", "66.74")),
    ("SCA, random guidance", "realsr-random", (DASH, ".4435", "67.21")),
    ("without HCC", "realsr-no-hcc", ("25.85", ".4431", DASH)),
)
"""On RealSR: variant, folder of our result, PSNR, MANIQA and MUSIQ as published."""

EFFICIENCY = (
    ("StableSR", "1409.1", "200", "15.32"),
    ("DiffBIR", "1900.4", "20", "5.03"),
    ("PASD", "1716.7", "50", "5.94"),
    ("VARSR", "1102.9", "10", "0.52"),
    ("AlignVAR", "1056.5", "10", "0.43"),
)
"""Millions of parameters, steps, seconds for 512 x 512 pixels on a GPU that the paper's tables don't name."""

SECOND_HAND = "As published: second-hand, from a reading of the paper; a dash was not read."


def published_tables(results: Path) -> dict[str, dict[str, object]]:
    """Tables by name, as `evaluate.tables.render_stored` reads them. Raises UserError for a damaged result."""
    main_rows = []
    for one in BENCHMARKS:
        ours = _cell(_read(results / one.result), one.metric)
        main_rows.append([f"{one.data}, {_title(one.metric)}", *one.published, ours])
    ablation = []
    for variant, result, numbers in ABLATION:
        for metric, number in zip(("psnr", "maniqa", "musiq"), numbers, strict=True):
            ablation.append([f"{variant}, {_title(metric)}", number, _cell(_read(results / result), metric)])
    return {
        "alignvar-paper": _table(
            ["data, metric", *METHODS, "ours"],
            main_rows,
            f"{SECOND_HAND} Ours: mean [95 % interval], pictures measured of all.",
        ),
        "alignvar-paper-ablation": _table(
            ["variant, metric", "as published", "ours"], ablation, f"On RealSR. {SECOND_HAND}"
        ),
        "alignvar-paper-efficiency": _table(
            ["method", "parameters, M", "steps", "seconds"],
            [list(row) for row in EFFICIENCY],
            f"512 x 512 pixels, on a GPU that was not read. {SECOND_HAND}",
        ),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables as JSON files."""
    parser = argparse.ArgumentParser(prog="python -m beholder.alignvar.published", description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("bench/results"))
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, table in published_tables(given.results).items():
        with replacing(given.out / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _read(folder: Path) -> Restoration | None:
    return read_restoration(folder) if (folder / RESTORATION_FILE).is_file() else None


def _title(metric: str) -> str:
    better = {True: " ↑", False: " ↓", None: ""}[METRICS[metric].higher_is_better]
    return METRICS[metric].title.removesuffix(", dB") + better


def _cell(result: Restoration | None, metric: str) -> str:
    found = None if result is None else result.metrics.get(metric)
    if result is None or found is None or found.value is None:
        return DASH
    places = METRICS[metric].places
    interval = "" if found.low is None else f" [{found.low:.{places}f}, {found.high:.{places}f}]"
    return f"{found.value:.{places}f}{interval}, {found.n:,} of {result.n_total:,}"


def _table(columns: list[str], rows: list[list[str]], caption: str) -> dict[str, object]:
    return {"table": {"columns": columns, "rows": rows}, "caption": caption}


if __name__ == "__main__":
    raise SystemExit(main())
