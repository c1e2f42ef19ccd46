"""TiCAL on constructed pairs, with results stored: `results/emotion-pairing.json` and `-endpoints.json`.

    python bench/emotion_pairs.py ITEMS VOTES RUN [--rules others] [--rhos 0.5 0.3] [--seeds 10] [--workers N]

Real voices, faces and texts, paired by us. The endpoints of `emotion_pairing/preregistration.md` decide, by the setting
that is run first. RUN keeps one file of answers per arm, setting and seed; the same command goes on where it was
stopped. After each setting the tables are stored anew, of the settings for which every arm has answered all ten seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from record import RESULTS, Table, publish, script

from beholder.batch.workers import usable_cpus
from beholder.tical.pairing import COUNTS, people_table
from beholder.tical.pairing_study import ARMS, RHOS, RULES, SEEDS, SETTINGS, is_complete, run_pairing
from beholder.tical.pairing_tables import results_of
from beholder.tical.votes import read_votes


def main(
    arguments: Sequence[str] | None = None,
    *,
    arms: Sequence[str] = tuple(ARMS),
    registered_seeds: int = SEEDS,
    counts: Mapping[str, int] = COUNTS,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Run what is missing and store what is complete. All but `arguments` is registered, and changed by tests only."""
    asked = _arguments(arguments)
    people = people_table(read_votes(asked.votes))
    chosen = [(rule, rho) for rule, rho in SETTINGS if rule in asked.rules and rho in asked.rhos]
    for number, (rule, rho) in enumerate(chosen, start=1):
        print(f"setting {number} of {len(chosen)}: label by {rule}, rho = {rho:g}", flush=True)
        run_pairing(
            asked.items,
            people,
            asked.run,
            arms=arms,
            rules=(rule,),
            rhos=(rho,),
            seeds=asked.seeds,
            workers=asked.workers,
            counts=counts,
            settings=settings,
            on_done=lambda line: print(line, flush=True),
        )
        publish_complete(asked.run, arms, registered_seeds, asked.results)


def publish_complete(run: Path, arms: Sequence[str], seeds: int, results: Path) -> None:
    """Store the tables of complete settings, which name the others; says so where there are none."""
    complete = [setting for setting in SETTINGS if is_complete(run, setting, arms, seeds)]
    missing = [f"by {rule}, rho = {rho:g}" for rule, rho in SETTINGS if (rule, rho) not in complete]
    if not complete:
        print(f"No setting has all {len(arms)} arms and {seeds} seeds yet: nothing stored", flush=True)
        return
    notes = [f"Not complete, so not here: {'; '.join(missing)}."] if missing else []
    for one in results_of(run, seeds, complete):
        publish(
            one.name,
            one.title,
            Table(one.columns, one.rows),
            measured={**one.measured, "missing": missing},
            notes=[*one.notes, *notes],
            busy_before=None,
            folder=results,
        )


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", type=Path, help="folder of voices, faces and texts")
    parser.add_argument("votes", type=Path, help="folder with votes.csv, of CREMA-D")
    parser.add_argument("run", type=Path, help="folder of answers")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=RULES, help="who gives the label; default: both")
    parser.add_argument("--rhos", nargs="+", type=float, choices=RHOS, default=RHOS, help="shares of conflict")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="the first so many; below ten nothing is stored")
    parser.add_argument("--workers", type=int, default=usable_cpus(), help="processes; default: cores")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    script(main)
