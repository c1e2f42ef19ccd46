"""How fast `beholder score` is, beside what it competes with and beside decoding alone, on the same files in one run.

    python bench/speed.py [--model NAME_OR_FOLDER] [--pictures DIR] [--count 400] [--pyiqa-python ENV/bin/python]

Rates of beholder are those of the whole command, a person's view: start of the processes and the written file
included. Its steady rate, without the start, comes from the time that further pictures take. The others are measured
after their own start, which is left out in their favour.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from pictures import links, squares
from PIL import Image
from record import (
    RESULTS,
    Limit,
    Table,
    at_least,
    beholder_command,
    busy_share,
    model_facts,
    publish,
    run_quietly,
    script,
)

from beholder.imaging.find import find_images
from beholder.scoring.table import DEFAULT

WORKERS = 2
REPEATS = 3
"""Runs of which the median counts, where a run takes seconds."""
MANY = 5
"""The steady rate compares `count` pictures with this many times as many, as hard links to the same files."""

CLIP_PICTURES = 5
PUBLISHED = ("niqe", "brisque", "piqe")
PUBLISHED_S = 5.0

OVER_CLIP = (150, 600)
OVER_DECODE = (0.05, 0.2)
"""What is promised, and what we aim for."""


@dataclass(frozen=True)
class Rate:
    """Pictures per second of one contender, or why it was not measured."""

    name: str
    per_s: float | None
    how: str
    skipped: str | None = None


def measure_beholder(files: Sequence[Path], model: str, scratch: Path) -> tuple[Rate, Rate]:
    """The command as a person types it, on a folder: rate of the whole process, and steady rate."""
    few = links(scratch / "few", files, len(files))
    many = links(scratch / "many", files, MANY * len(files))

    def seconds(folder: Path) -> float:
        out = scratch / "scores.parquet"
        line = beholder_command(
            "score", str(folder), "-o", str(out), "--overwrite", "--model", model, "--workers", str(WORKERS)
        )
        return run_quietly(line)

    whole_s = median(seconds(few) for _ in range(REPEATS))
    many_s = seconds(many)
    n_more = (MANY - 1) * len(files)
    return (
        Rate("beholder score", len(files) / whole_s, f"{len(files)} pictures, {WORKERS} workers, whole command"),
        Rate("beholder score, steady", n_more / max(many_s - whole_s, 1e-9), f"the next {n_more} pictures"),
    )


def decode(path: Path) -> int:
    """Decode a picture in full, as RGB; its number of pixels."""
    picture = Image.open(path).convert("RGB")
    return picture.width * picture.height


def measure_decode(files: Sequence[Path]) -> Rate:
    """Pillow on all workers' cores: what no scorer of full-size pictures can pass. Start of the pool is left out."""
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        list(pool.map(decode, files, chunksize=8))
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            list(pool.map(decode, files, chunksize=8))
            times.append(time.perf_counter() - start)
    return Rate("decode only, Pillow", len(files) / median(times), f"{WORKERS} processes")


def measure_clip(files: Sequence[Path]) -> Rate:
    """CLIP ViT-B/16 on ten crops, the published way of this class of scorer."""
    name, how = "CLIP ViT-B/16, 10 crops", "2 threads, random weights"
    missing = [package for package in ("torch", "transformers") if find_spec(package) is None]
    if missing:
        return Rate(name, None, how, skipped=f"{' and '.join(missing)} not installed")
    from clip_crops import measure

    n, seconds = measure(files)
    return Rate(name, n / seconds, f"{n} pictures, {how}")


def measure_published(files: Sequence[Path], python: str, names: Sequence[str] = PUBLISHED) -> list[Rate]:
    """Metrics of pyiqa in the Python that has it, each for `PUBLISHED_S`; skipped by name where they can't run."""
    line = [python, str(Path(__file__).with_name("published.py")), ",".join(names), str(PUBLISHED_S), *map(str, files)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    found = {}
    for text in done.stdout.splitlines():
        if text.startswith("{"):  # pyiqa also talks on stdout
            row = json.loads(text)
            found[row["name"]] = row
    rates = []
    for name in names:
        title = f"{name.upper()}, pyiqa"
        if row := found.get(name):
            how = row["about"] if "skipped" in row else f"{row['n']} pictures, 2 threads, {row['about']}"
            per_s = None if "skipped" in row else row["n"] / row["seconds"]
            rates.append(Rate(title, per_s, how, row.get("skipped")))
        else:
            reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
            rates.append(Rate(title, None, "", skipped=reason[:200]))
    return rates


def table_of(rates: Sequence[Rate]) -> Table:
    """One row per contender, the first two are ours; the last columns say how many times as fast these two are."""
    whole, steady = rates[0].per_s, rates[1].per_s
    assert whole is not None
    assert steady is not None
    rows = []
    for rate in rates:
        if rate.per_s is None:
            rows.append([rate.name, "–", "–", "–", f"skipped: {rate.skipped}"])
        else:
            ratios = (f"{_short(ours / rate.per_s)}x" for ours in (whole, steady))
            rows.append([rate.name, _short(rate.per_s), *ratios, rate.how])
    return Table(["", "pictures/s", "ours is", "ours, steady, is", "how"], rows)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def limits_of(ours: Rate, decoding: Rate, clip: Rate) -> list[Limit]:
    """The promises, on the whole command. Without torch there is nothing to compare with CLIP."""
    assert ours.per_s is not None
    assert decoding.per_s is not None
    limits = [at_least(f"share of decode-only (aim {OVER_DECODE[1]:g})", ours.per_s / decoding.per_s, OVER_DECODE[0])]
    if clip.per_s is not None:
        limits.append(at_least(f"times as fast as CLIP (aim {OVER_CLIP[1]})", ours.per_s / clip.per_s, OVER_CLIP[0]))
    return limits


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--pictures", type=Path, help="a folder of pictures instead of rendered 512x512 JPEGs")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--pyiqa-python", default=sys.executable, help="a Python that has pyiqa")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    facts = model_facts(given.model)
    with tempfile.TemporaryDirectory(prefix="beholder-bench-") as name:
        scratch = Path(name)
        if given.pictures:
            files = [Path(path) for path in find_images([str(given.pictures)])][: given.count]
        else:
            files = squares(scratch / "pictures", given.count)
        busy = busy_share()
        ours, steady = measure_beholder(files, given.model, scratch)
        decoding = measure_decode(files)
        clip = measure_clip(files[:CLIP_PICTURES])
        rates = [ours, steady, decoding, clip, *measure_published(files, given.pyiqa_python)]
        megapixels = sum(decode(path) for path in files) / len(files) / 1e6
        kilobytes = sum(path.stat().st_size for path in files) / len(files) / 1000
    publish(
        "speed",
        f"{len(files)} JPEGs of {megapixels:.2f} megapixels and {kilobytes:.0f} kB on average",
        table_of(rates),
        measured={
            "model": facts,
            "pictures": "rendered" if given.pictures is None else given.pictures.name,
            "n": len(files),
            "pictures_per_s": {rate.name: rate.per_s for rate in rates},
            "skipped": {rate.name: rate.skipped for rate in rates if rate.skipped},
        },
        limits=limits_of(ours, decoding, clip),
        busy_before=busy,
        folder=given.results,
    )


if __name__ == "__main__":
    script(main)
