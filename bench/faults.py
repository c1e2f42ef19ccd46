"""What becomes of damaged files, killed runs, full discs, hostile archives and checkpoints. Promises, not speed.

    python bench/faults.py [--quick] [--files 2000] [--upscaled 2000] [--kills 20] [--model MODEL]
        [--only score kill ...]

Needs `.[serve,restore]`; without torch the parts about `upscale` are left out and the table says so. Everything runs in
throw-away folders that hold working folder, home and temporary files of what is run, and every file in them is looked
at. Most of a run's time passes in time limits; a busy machine changes no promise. `--quick` is for a first look: 150
files, 40 of them through upscale, 3 kills; its result is stored apart, in `quick/`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from damaged_files import originals, write_corpus
from disasters import fill_disc, kill_runs, refuse_to_write, run_twice_at_once
from fuzz import fuzz_score, fuzz_serve, fuzz_upscale
from intruders import climb_out, hostile_checkpoints
from pictures import links, squares
from record import QUICK, RESULTS, Limit, Table, at_most, busy_share, model_facts, publish, script
from sandbox import Outcome

from beholder.scoring.table import DEFAULT, resolve

TIMEOUT_S = 2.0
"""Time limit of a picture."""
ROWS = 3000
"""Of the runs that are killed: hard links to a few pictures, six shards."""
DISC_MB = 0.5

PARTS = ("score", "upscale", "serve", "kill", "disc", "read-only", "twice", "names", "checkpoints")


def random_upscaler(folder: Path) -> Path | None:
    """A tiny AlignVAR model with random weights; None without torch."""
    if find_spec("torch") is None or find_spec("safetensors") is None:
        return None
    import torch

    from beholder.alignvar import folder as model_folder
    from beholder.alignvar.config import SIZES
    from beholder.alignvar.tokeniser import Tokeniser
    from beholder.alignvar.transformer import AlignVar

    torch.manual_seed(0)
    config = SIZES["tiny"]
    model_folder.save(AlignVar(config).eval(), Tokeniser(config.tokeniser).eval(), folder)
    return folder


def look(scratch: Path, given: argparse.Namespace) -> list[Outcome]:
    """All outcomes, in order; each is shown as it comes."""
    corpus = scratch / "corpus"
    kinds = write_corpus(corpus, given.files, given.seed)
    crowd = links(scratch / "crowd", squares(scratch / "pictures", 12, 96), ROWS)
    upscaler = random_upscaler(scratch / "upscaler")
    picture = originals()["baseline.jpg"]
    some = dict(list(kinds.items())[: given.upscaled])
    (scratch / "some").mkdir()
    for name in some:
        (scratch / "some" / name).hardlink_to(corpus / name)

    def upscaled() -> Iterable[Outcome]:
        if upscaler is None:
            return [Outcome("damaged files, upscale", 0, (), "left out: torch is not installed")]
        return [fuzz_upscale(scratch / "some", some, scratch / "box-upscale", upscaler, timeout_s=TIMEOUT_S)]

    parts: dict[str, Callable[[], Iterable[Outcome]]] = {
        "score": lambda: [fuzz_score(corpus, kinds, scratch / "box-score", given.model, timeout_s=TIMEOUT_S)],
        "upscale": upscaled,
        "serve": lambda: [fuzz_serve(corpus, kinds, scratch / "box-serve", given.model, timeout_s=TIMEOUT_S)],
        "kill": lambda: [kill_runs(crowd, scratch / "box-kill", given.model, points=given.kills, seed=given.seed)],
        "disc": lambda: [fill_disc(crowd, scratch / "box-disc", given.model, megabytes=DISC_MB)],
        "read-only": lambda: refuse_to_write(scratch / "pictures", scratch / "box-closed", given.model, upscaler),
        "twice": lambda: [run_twice_at_once(crowd, scratch / "box-twice", given.model)],
        "names": lambda: climb_out(picture, scratch / "box-names", given.model, upscaler),
        "checkpoints": lambda: hostile_checkpoints(scratch / "box-checkpoints", upscaler, resolve(given.model).folder),
    }
    outcomes = []
    for part in given.only or PARTS:
        start_s = time.monotonic()
        print(f"{part} ...", flush=True)
        for outcome in parts[part]():
            outcomes.append(outcome)
            print(f"{outcome.name}: {len(outcome.broken)} broken; {outcome.seen}", flush=True)
            for what in outcome.broken[:10]:
                print(f"    {what}", flush=True)
        print(f"{part} took {time.monotonic() - start_s:.0f} s", flush=True)
    return outcomes


def table_of(outcomes: Sequence[Outcome]) -> Table:
    """One row per fault."""
    rows = []
    for one in outcomes:
        silence = "–" if one.longest_s is None else f"{one.longest_s:.1f} of {one.limit_s:.0f}"
        rows.append([one.name, f"{one.tries:,}", f"{len(one.broken)}", silence, one.seen])
    return Table(["fault", "tries", "promises broken", "longest wait, s", "what was seen"], rows)


def limits_of(outcomes: Sequence[Outcome]) -> list[Limit]:
    """No promise is broken."""
    return [at_most(f"{one.name}: promises broken", len(one.broken), 0) for one in outcomes]


def main(arguments: Sequence[str] | None = None) -> None:
    """Do all of it, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--files", type=int, default=2000, help="damaged files")
    parser.add_argument("--upscaled", type=int, default=2000, help="of them through upscale")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="a first look: little of everything")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=PARTS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if given.quick:
        given.files, given.upscaled, given.kills = min(given.files, 150), min(given.upscaled, 40), min(given.kills, 3)
        given.results /= QUICK
    facts = model_facts(given.model)
    if Path(given.model).is_dir():
        given.model = str(Path(given.model).resolve())  # what is run has a working folder of its own
    busy = busy_share()
    with tempfile.TemporaryDirectory(prefix="beholder-bench-") as name:
        outcomes = look(Path(name), given)
    publish(
        "faults",
        f"{given.files:,} damaged files by seed, a time limit of {TIMEOUT_S:g} s per picture; runs of {ROWS:,} rows",
        table_of(outcomes),
        measured={"model": facts, "seed": given.seed, "outcomes": [asdict(one) for one in outcomes]},
        limits=limits_of(outcomes),
        busy_before=busy,
        folder=given.results,
    )


if __name__ == "__main__":
    script(main)
