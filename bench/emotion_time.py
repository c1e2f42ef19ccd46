"""How long the study on votes takes, from nothing to its tables: whole commands, the smoke version and all of it.

    python bench/emotion_time.py VOTES [--repeats 10]

The predictions are made in a folder of their own, which goes with the end; `emotion_study.py` is what keeps and stores
them. Forty minutes on two cores; run it on an idle machine. Fewer repeats are a first look, which is stored apart, in
`quick/`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from record import QUICK, RESULTS, Table, at_most, beholder_command, busy_share, publish, run_quietly, script

from beholder.batch.workers import usable_cpus
from beholder.tical.votes import read_votes
from beholder.tical.votes_tables import FOLDS, ORDER

REPEATS = 10
"""Of the registered study."""
SMOKE_S, STUDY_S = 60, 3600
CORES = 2
"""The machine that the promise is about."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Time the smoke version and the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("votes", type=Path, help="folder with votes.csv")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--arms", nargs="+", choices=ORDER, default=ORDER, metavar="ARM", help="default: all")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    asked = parser.parse_args(arguments)
    read_votes(asked.votes)  # says what is wrong before anything is timed
    whole = asked.repeats == REPEATS and list(asked.arms) == list(ORDER)
    votes = ["emotion", "bench", "votes", str(asked.votes.resolve())]
    workers = min(CORES, usable_cpus())
    busy = busy_share()
    with tempfile.TemporaryDirectory() as folder:
        study = [*votes, "--out", folder, "--repeats", str(asked.repeats), "--workers", str(workers)]
        study += [word for arm in asked.arms for word in ("--arm", arm)]
        seconds = {}
        for name, words in (("smoke", [*votes, "--smoke"]), ("study", study)):
            print(f"{name} ...", flush=True)
            seconds[name] = run_quietly(beholder_command(*words))
    trainings = len(asked.arms) * asked.repeats * FOLDS
    facts = {
        "smoke": "a few arms, 2 folds",
        "study": f"{len(asked.arms)} arms x {asked.repeats} repeats x {FOLDS} folds = {trainings:,}, and tables",
    }
    publish(
        "emotion-time",
        f"The votes study as whole commands, {workers} processes of one thread",
        Table(["", "what", "s"], [[name, facts[name], f"{value:.0f}"] for name, value in seconds.items()]),
        measured={"seconds": seconds, "arms": list(asked.arms), "repeats": asked.repeats, "folds": FOLDS},
        limits=[at_most("smoke", seconds["smoke"], SMOKE_S, " s"), at_most("study", seconds["study"], STUDY_S, " s")],
        busy_before=busy,
        folder=asked.results if whole else asked.results / QUICK,
    )


if __name__ == "__main__":
    script(main)
