"""What a run over millions or billions of pictures takes: measured here, fitted, and worked out for machines you name.

    python bench/scale.py [--quick] [--model NAME_OR_FOLDER] [--rows 1000000]
        [--cores 16] [--machines 100] [--price 0.05] [--megapixels 0.26 12]

Three things are measured. The rate of `beholder score` by workers and by size of picture, as the time that further
pictures take. The rate of plan, parts and final file by shard size, with pictures that are never opened
(`scale_stub.py`). And a run of `--rows` such rows that is killed half-way, resumed, and, as four slices, merged: rows,
time and memory.

The cost model: one core is busy with one picture for p = a + b * megapixels + c * decoded megapixels seconds, since a
JPEG is read whole but decoded at 1/2, 1/4 or 1/8 of its size where that is more than the model looks at; w workers on a
machine are w * e(w) cores; a row costs d seconds of the one process that writes rows, whatever the number of workers,
and a part file f seconds. So n pictures take n * max(p / (w * e(w)), d + f / shard size). a, b and c are fitted by
least squares of relative errors, none below 0; the largest error is in the table. e(w) beyond the cores measured is
taken as the one of all cores here. What is not in it: reading from a slow disc or a store, other processors, several
sockets. Every run is done `REPEATS` times in turn with the others, and its fastest time counts.

`--quick` is for a first look: two sizes of picture, few of them, 20,000 rows; its result is stored apart, in `quick/`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from memory import Peak, watch
from pictures import links, photos
from record import (
    QUICK,
    RESULTS,
    CommandError,
    Table,
    at_most,
    beholder_command,
    busy_share,
    model_facts,
    publish,
    run_quietly,
    script,
)
from scipy.optimize import nnls

from beholder.batch.plan import shard_size
from beholder.batch.workers import usable_cpus
from beholder.imaging.fit import Fit
from beholder.imaging.open import SPARE
from beholder.scoring.table import DEFAULT

SIDES = (512, 1024, 2048, 4096)
"""Of square JPEGs. From 512 on the model sees the same area, so only decoding grows."""
FILES = 8
FEW, MANY = 16, 256
"""Pictures of the short and of the long run; halved for each doubling of the side after the first."""
REPEATS = 3
SHARDS = (500, 2000, 10_000)
SHARD_ROWS = 50_000
SLICES = 4
TOTALS = (1_000_000, 100_000_000, 5_000_000_000)

FIT = 0.3
"""Largest relative error of the cost model over the rates that it was fitted to."""

FLAT = 1.1
"""Memory of the last tenth of a long run against that after its first tenth."""


@dataclass(frozen=True)
class Rate:
    """Of further pictures, start left out."""

    workers: int
    side: int
    seconds: float
    """Per picture."""

    @property
    def megapixels(self) -> float:
        """Of one picture."""
        return self.side**2 / 1e6


def decoded(megapixels: float) -> float:
    """Megapixels of a square JPEG that are decoded for the default view."""
    side = max(1, round((megapixels * 1e6) ** 0.5))
    smallest = SPARE * min(Fit().size(side, side))
    return megapixels / max(s for s in (1, 2, 4, 8) if s == 1 or side // s >= smallest) ** 2


@dataclass(frozen=True)
class CostModel:
    """Seconds of a run, see the head of this file."""

    a_s: float
    b_s: float
    """Per megapixel of the file."""
    c_s: float
    """Per megapixel decoded."""
    efficiency: dict[int, float]
    """e(w); 1 for one worker."""
    row_s: float
    part_s: float
    largest_error: float
    """Relative, over all rates measured."""

    def picture_s(self, megapixels: float, workers: int) -> float:
        """Seconds per picture on one machine."""
        parallel = workers * self.efficiency.get(workers, self.efficiency[max(self.efficiency)])
        return (self.a_s + self.b_s * megapixels + self.c_s * decoded(megapixels)) / parallel

    def seconds(self, n: int, megapixels: float, workers: int) -> float:
        """Of one machine for `n` pictures; the process that writes rows can be what limits it."""
        return n * max(self.picture_s(megapixels, workers), self.row_s + self.part_s / shard_size(n))


def measure_rates(model: str, scratch: Path, sides: Sequence[int], few: int, many: int, repeats: int) -> list[Rate]:
    """Every size of picture by every number of workers up to the cores of this machine."""
    rates = []
    for place, side in enumerate(sides):
        files = photos(scratch / f"files{side}", FILES, (side, side))
        n = [max(FILES // 2, count >> max(0, place - 1)) for count in (few, many)]
        folders = [links(scratch / f"{side}-{i}-{count}", files, count) for i, count in enumerate(n)]
        for workers in sorted({1, usable_cpus()}):
            out = ("-o", str(scratch / "scores.parquet"), "--overwrite")
            lines = [("score", str(folder), *out, "--model", model, "--workers", str(workers)) for folder in folders]
            times = [[run_quietly(beholder_command(*line)) for line in lines] for _ in range(repeats)]
            seconds = np.min(times, axis=0).tolist()
            rates.append(rate_of(workers, side, n, seconds))
    return rates


def rate_of(workers: int, side: int, n: Sequence[int], seconds: Sequence[float]) -> Rate:
    """From a short and a long run. Raises CommandError where the long one was not longer: others used the machine."""
    if seconds[1] <= seconds[0]:
        raise CommandError(
            f"{n[1]} pictures of {side} px took {seconds[1]:.1f} s, {n[0]} took {seconds[0]:.1f} s, so nothing can be "
            "fitted. Repeat it on an idle machine, or with a larger --many"
        )
    return Rate(workers, side, (seconds[1] - seconds[0]) / (n[1] - n[0]))


@dataclass(frozen=True)
class StubRun:
    """A run whose pictures are never opened."""

    n: int
    n_scored: int
    seconds: float
    listed_mb: float
    """Of the list of paths."""
    memory_mb: list[float]
    """Of the process, after each part."""
    peak: Peak

    @property
    def growth(self) -> float:
        """Memory at the end as a multiple of that after a tenth of the parts."""
        tenth = max(1, len(self.memory_mb) // 10)
        return float(np.mean(self.memory_mb[-tenth:]) / np.mean(self.memory_mb[tenth : 2 * tenth]))


def stub_line(out: Path, n: int, *options: str) -> list[str]:
    """The command of `scale_stub.py`."""
    return [sys.executable, str(Path(__file__).with_name("scale_stub.py")), str(out), str(n), *options]


def run_stub(out: Path, n: int, *options: str) -> StubRun:
    """To its end. Raises CommandError where it fails."""
    told = out.with_suffix(".json")
    peak = watch([*stub_line(out, n, *options), "--tell", str(told)])
    return StubRun(**json.loads(told.read_text(encoding="utf-8")), peak=peak)


def measure_shards(scratch: Path, n: int, sizes: Sequence[int]) -> dict[int, float]:
    """Seconds per row of plan, parts and final file, by shard size."""
    return {
        size: run_stub(scratch / f"shards{size}.parquet", n, "--shard-size", str(size)).seconds / n for size in sizes
    }


@dataclass(frozen=True)
class LongRun:
    """Killed half-way, resumed, and merged from slices."""

    n: int
    n_before: int
    """Rows whose parts were finished when it was killed."""
    resumed: StubRun
    merge: Peak
    n_merged: int
    is_whole: bool
    """Whether both files hold every path once, in order."""


def long_run(scratch: Path, n: int) -> LongRun:
    """Plan, kill, resume and merge of `n` rows."""
    out = scratch / "long.parquet"
    n_parts = -(-n // shard_size(n))
    killed = subprocess.run(stub_line(out, n, "--die-after", str(n_parts // 2)), capture_output=True, check=False)
    if killed.returncode != -9:
        raise RuntimeError(f"it was not killed: {killed.stderr.decode()[-500:]}")
    n_before = sum(
        pq.read_metadata(part).num_rows for part in out.with_name(out.name + ".parts").glob("part-*.parquet")
    )
    resumed = run_stub(out, n)
    slices = []
    for i in range(SLICES):
        first, end = n * i // SLICES, n * (i + 1) // SLICES
        slices.append(scratch / f"slice-{i}.parquet")
        run_stub(slices[-1], end - first, "--first", str(first))
    merged = scratch / "merged.parquet"
    peak = watch(beholder_command("merge", *map(str, slices), "-o", str(merged)))
    return LongRun(
        n=n,
        n_before=n_before,
        resumed=resumed,
        merge=peak,
        n_merged=pq.read_metadata(merged).num_rows,
        is_whole=all(holds(file, n) for file in (out, merged)),
    )


def holds(file: Path, n: int) -> bool:
    """Whether a file has the paths of pictures 0 to n - 1 in order, each once."""
    from scale_stub import name_of

    at = 0
    for batch in pq.ParquetFile(file).iter_batches(columns=["path"]):
        for path in batch["path"].to_pylist():
            if path != name_of(at):
                return False
            at += 1
    return at == n


def fit(rates: Sequence[Rate], shards: dict[int, float]) -> CostModel:
    """The cost model of what was measured; no part of it is negative."""
    alone = [rate for rate in rates if rate.workers == 1]
    x = np.array([[1.0, rate.megapixels, decoded(rate.megapixels)] for rate in alone])
    a_s, b_s, c_s = nnls(x / np.array([[rate.seconds] for rate in alone]), np.ones(len(alone)))[0].tolist()
    efficiency = {1: 1.0}
    for workers in sorted({rate.workers for rate in rates} - {1}):
        pairs = [(one.seconds, some.seconds) for one, some in zip(alone, _of(rates, workers), strict=True)]
        efficiency[workers] = float(np.exp(np.mean([np.log(one / (workers * some)) for one, some in pairs])))
    inverse = np.array([[1.0, 1 / size] for size in shards])
    row_s, part_s = np.linalg.lstsq(inverse, np.array(list(shards.values())), rcond=None)[0].clip(0)
    model = CostModel(a_s, b_s, c_s, efficiency, float(row_s), float(part_s), 0.0)
    errors = [abs(model.picture_s(rate.megapixels, rate.workers) / rate.seconds - 1) for rate in rates]
    return CostModel(**{**asdict(model), "largest_error": max(errors)})


def _of(rates: Sequence[Rate], workers: int) -> list[Rate]:
    return [rate for rate in rates if rate.workers == workers]


def table_of(model: CostModel, given: argparse.Namespace) -> Table:
    """Hours and cost by number and size of pictures."""
    rows = []
    for n in TOTALS:
        for megapixels in given.megapixels:
            core_hours = given.cores * model.seconds(n, megapixels, given.cores) / 3600
            share = -(-n // given.machines)
            hours = model.seconds(share, megapixels, given.cores) / 3600
            rows.append(
                [
                    f"{n:,}",
                    f"{megapixels:g}",
                    f"{core_hours:,.0f}",
                    f"{core_hours / given.cores:,.1f}",
                    f"{hours:,.2f}",
                    f"{core_hours * given.price:,.0f}",
                ]
            )
    names = ("pictures", "megapixels", "core hours", "hours, 1 machine", f"hours, {given.machines} machines", "cost")
    return Table(names, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, fit, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    parser.add_argument("--few", type=int, default=FEW)
    parser.add_argument("--many", type=int, default=MANY)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the long run, pictures never opened")
    parser.add_argument("--shard-rows", type=int, default=SHARD_ROWS, help="of the runs by shard size, likewise")
    parser.add_argument("--cores", type=int, default=16, help="of one machine that the costs are for")
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--price", type=float, default=0.05, help="of one core for one hour, in any currency")
    parser.add_argument("--megapixels", type=float, nargs="+", default=(0.26, 12.0), help="of a picture")
    parser.add_argument("--quick", action="store_true", help="a first look: few pictures, few rows")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if given.quick:
        given.sides, given.few, given.many, given.repeats = given.sides[:2], min(given.few, 8), min(given.many, 40), 1
        given.rows, given.shard_rows = min(given.rows, 20_000), min(given.shard_rows, 5000)
        given.results /= QUICK
    facts = model_facts(given.model)
    with tempfile.TemporaryDirectory(prefix="beholder-bench-") as name:
        scratch = Path(name)
        busy = busy_share()
        print(f"rates of {len(given.sides)} sizes of picture ...", flush=True)
        rates = measure_rates(given.model, scratch, given.sides, given.few, given.many, given.repeats)
        print(f"{len(SHARDS)} runs of {given.shard_rows:,} rows that are never opened ...", flush=True)
        shards = measure_shards(scratch, given.shard_rows, SHARDS)
        print(f"{given.rows:,} rows: kill, resume, merge ...", flush=True)
        long = long_run(scratch, given.rows)
    model = fit(rates, shards)
    resumed, cores = long.resumed, usable_cpus()
    publish(
        "scale",
        f"Estimated from measurements on {cores} cores: {facts['name']} on machines of {given.cores} such cores at "
        f"{given.price:g} per core hour",
        table_of(model, given),
        measured={
            "model": facts,
            "assumptions": {"cores": given.cores, "machines": given.machines, "price": given.price},
            "rates": [asdict(rate) for rate in rates],
            "seconds_per_row_by_shard_size": {str(size): seconds for size, seconds in shards.items()},
            "cost_model": asdict(model),
            "long_run": asdict(long),
        },
        limits=[
            at_most(f"{given.rows:,} rows: memory at the end", resumed.growth, FLAT, " times that after a tenth"),
            at_most("largest error of the cost model", model.largest_error, FIT),
            at_most("rows scored twice after the kill", resumed.n_scored + long.n_before - long.n, 0),
            at_most("rows lost or doubled", 0 if long.is_whole and long.n_merged == long.n else 1, 0),
        ],
        notes=[
            f"A core takes {model.a_s * 1000:.1f} ms + {model.b_s * 1000:.1f} ms per megapixel of JPEG + "
            f"{model.c_s * 1000:.1f} ms per megapixel decoded of it; {cores} "
            f"workers are {cores * model.efficiency[max(model.efficiency)]:.2f} cores; largest error of the fit "
            f"{model.largest_error:.0%}.",
            f"Plan, part files and final file take {model.row_s * 1e6:.0f} µs per row and {model.part_s * 1000:.1f} ms "
            "per part, in one process.",
            "Not in it: reading from a slow disc or a store, other processors, several sockets.",
            f"{long.n:,} rows whose pictures are never opened, killed after {long.n_before:,}, resumed: "
            f"{resumed.seconds:.0f} s for the rest, at most {resumed.peak.rss_mb:.0f} MB, of which the list of paths "
            f"{resumed.listed_mb:.0f}; merged from {SLICES} slices: {long.merge.seconds:.0f} s, "
            f"{long.merge.rss_mb:.0f} MB.",
        ],
        busy_before=busy,
        folder=given.results,
    )


if __name__ == "__main__":
    script(main)
