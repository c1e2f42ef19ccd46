"""TiCAL on CREMA-D votes, with results stored: `beholder emotion bench votes`, and `results/emotion-votes*.json`.

    python bench/emotion_study.py VOTES RUN [--repeats 10] [--k 3 | --design full] [--research] [--workers N]

Inputs are human judgements, not signals. The endpoints of `emotion_votes/preregistration.md` decide. RUN keeps one file
of predictions per arm and repeat; the same command goes on where it was stopped. Only k = 3 is registered: each other
design has results of its own name, about all actors, which decide nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from record import RESULTS, Table, publish, script

from beholder.batch.workers import usable_cpus
from beholder.tical.study import run_study
from beholder.tical.votes import FULL_DESIGNS, Design, read_votes, research_actors
from beholder.tical.votes_tables import FOLDS, ORDER, Run, results_of


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then measure."""
    asked = _arguments(arguments)
    votes = read_votes(asked.votes)
    design: Design = asked.design or asked.k
    run_study(
        votes,
        asked.run,
        arms=asked.arms,
        design=design,
        repeats=asked.repeats,
        folds=FOLDS,
        actors=research_actors(votes.actor) if asked.research else None,
        workers=asked.workers,
        on_done=lambda line: print(line, flush=True),
    )
    for one in results_of(Run(votes, asked.run, design, asked.repeats, asked.research)):
        table = Table(one.columns, one.rows)
        publish(
            one.name,
            one.title,
            table,
            measured=one.measured,
            notes=one.notes,
            busy_before=None,
            folder=asked.results,
        )


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("votes", type=Path, help="folder with votes.csv")
    parser.add_argument("run", type=Path, help="folder of predictions")
    parser.add_argument("--arms", nargs="+", choices=ORDER, default=ORDER, metavar="ARM", help=", ".join(ORDER))
    parser.add_argument("--repeats", type=int, default=10)
    inputs = parser.add_mutually_exclusive_group()
    inputs.add_argument("--k", type=int, default=3, help="raters drawn per clip and modality")
    inputs.add_argument("--design", choices=FULL_DESIGNS, help="all raters and their levels instead of a draw")
    parser.add_argument("--research", action="store_true", help="research actors only")
    parser.add_argument("--workers", type=int, default=usable_cpus(), help="processes; default: cores")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    script(main)
