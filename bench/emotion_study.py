"""TiCAL on CREMA-D votes: every arm, cross-validated by actor, and the endpoints of `emotion_votes/preregistration.md`.

    python bench/emotion_study.py VOTES RUN [--arms ...] [--repeats 10] [--research | --smoke]

VOTES is the folder with `votes.csv`. RUN keeps one file of predictions per arm and repeat; the same command goes on
where it was stopped. Inputs are human judgements, not signals.

--research uses the research actors only: on them variants were tried, so its numbers are biased in favour of what was
chosen. --smoke is one repeat, two folds, three arms, and stores no result.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from record import Table, publish, script

from beholder.errors import UserError
from beholder.tical.consistency import jensen_shannon, overlap
from beholder.tical.endpoints import (
    Answers,
    Interval,
    Resamples,
    conflict_auroc,
    error_auroc,
    face_hits,
    fused_calibration_error,
    fused_hits,
    fused_hits_in_conflict,
    interval,
    mean_of,
    resample_actors,
    voice_hits,
)
from beholder.tical.study import ARMS, Told, prediction_file, read_told, restrict, run_study
from beholder.tical.votes import Round, draw_round, read_votes, research_actors

REGISTERED = ("tical-attribution", "tical-published")
REFERENCES = ("votes", "logistic", "tical-concat")
ORDER = (*REFERENCES, *REGISTERED, *(arm for arm in ARMS if arm not in (*REFERENCES, *REGISTERED)))
"""The arms that endpoints need come first."""

SMOKE = ("votes", "logistic", "tical-attribution")

Array = NDArray[np.float64]


def main() -> None:
    """Run what is missing, then measure."""
    asked = _arguments()
    votes = read_votes(asked.votes)
    research = research_actors(votes.actor)
    repeats, folds = (1, 2) if asked.smoke else (asked.repeats, 5)
    within = research if asked.research else None
    arms = SMOKE if asked.smoke else tuple(asked.arms)
    run_study(votes, asked.run, arms=arms, k=asked.k, repeats=repeats, folds=folds, actors=within, on_done=_say)
    if asked.smoke:
        return
    done = [arm for arm in ORDER if all(prediction_file(asked.run, arm, asked.k, r).exists() for r in range(repeats))]
    facts = {"k": asked.k, "repeats": repeats, "folds": folds, "research_actors": research.tolist()}
    rounds = [draw_round(votes, asked.k, repeat) for repeat in range(repeats)]
    name = "emotion-votes" if asked.k == 3 else f"emotion-votes-k{asked.k}"
    if asked.research:
        _publish_arms(f"{name}-research", "the 35 research actors", rounds, asked, done, within, within, facts)
        return
    others = np.setdiff1d(votes.actor, research)
    _publish_arms(name, "the 36 actors that nothing was chosen on", rounds, asked, done, None, others, facts)
    _publish_arms(f"{name}-all", "all 71 actors", rounds, asked, done, None, None, facts)
    if asked.k == 3 and set(REFERENCES) <= set(done):
        _publish_endpoints(rounds, asked, done, others, facts)


def _publish_arms(
    name: str,
    who: str,
    rounds: Sequence[Round],
    asked: argparse.Namespace,
    arms: Sequence[str],
    within: NDArray[np.int64] | None,
    shown: NDArray[np.int64] | None,
    facts: Mapping[str, object],
) -> None:
    rows, measured = [], {}
    for arm in arms:
        answers = _answers(rounds, asked, arm, within, shown)
        actors = resample_actors(answers.rounds[0].actor)
        numbers = {column: interval(values) for column, values in _measure(answers, actors).items()}
        ece = float(np.mean([fused_calibration_error(r, t) for r, t in zip(answers.rounds, answers.told, strict=True)]))
        measured[arm] = {**{column: vars(number) for column, number in numbers.items()}, "ece": ece}
        cells = [f"{number.value:.3f}" for number in numbers.values()]
        rows.append([arm, *cells, f"{ece:.3f}"])
    columns = ["arm", *_COLUMNS, "ECE"]
    title = f"CREMA-D votes, {asked.k} raters per clip and modality, told about {who}"
    notes = [f"Human votes as input. Mean of {asked.repeats} repeats of 5 folds by actor; n = {_clips(answers)} clips."]
    publish(name, title, Table(columns, rows), measured={**facts, "arms": measured}, notes=notes, busy_before=None)


_COLUMNS = (
    "fused",
    "fused, conflict",
    "voice",
    "face",
    "voice head",
    "JSD",
    "overlap",
    "C",
    "errors: C",
    "errors: p",
)


def _measure(answers: Answers, actors: Resamples) -> dict[str, Array]:
    values = (
        mean_of(fused_hits, answers, actors),
        mean_of(fused_hits_in_conflict, answers, actors),
        mean_of(voice_hits, answers, actors),
        mean_of(face_hits, answers, actors),
        mean_of(_head_hits, answers, actors),
        conflict_auroc(_divergence, answers, actors),
        conflict_auroc(_difference, answers, actors),
        conflict_auroc(_inconsistency, answers, actors),
        error_auroc(_inconsistency, answers, actors),
        error_auroc(_doubt, answers, actors),
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _publish_endpoints(
    rounds: Sequence[Round],
    asked: argparse.Namespace,
    done: Sequence[str],
    others: NDArray[np.int64],
    facts: Mapping[str, object],
) -> None:
    rows, measured = [], {}
    for who, shown in (("36 other actors", others), ("all 71", None)):
        known = {arm: _answers(rounds, asked, arm, None, shown) for arm in (*REFERENCES, *REGISTERED) if arm in done}
        actors = resample_actors(known["votes"].rounds[0].actor)
        for arm in (arm for arm in REGISTERED if arm in known):
            for endpoint, (number, must, met) in _endpoints(known, arm, actors).items():
                span = f"{number.value:+.3f} [{number.low:+.3f}, {number.high:+.3f}]"
                verdict = ("met" if met else "missed") if must else ""
                rows.append([f"{endpoint}", arm, who, span, must, verdict])
                measured[f"{endpoint}, {arm}, {who}"] = {**vars(number), "must": must, "met": met}
    title = "Registered endpoints of the votes study; those of the 36 other actors decide"
    notes = ["Human votes as input. Differences with paired 95 % bootstrap intervals over actors."]
    columns = ["endpoint", "arm", "actors", "value", "must", "verdict"]
    measured_all = {**facts, "endpoints": measured}
    publish("emotion-endpoints", title, Table(columns, rows), measured=measured_all, notes=notes, busy_before=None)


def _endpoints(known: Mapping[str, Answers], arm: str, actors: Resamples) -> dict[str, tuple[Interval, str, bool]]:
    ours = known[arm]
    heads = [mean_of(_head_hits, known[name], actors) for name in ("logistic", "tical-concat")]
    p1 = interval(mean_of(voice_hits, ours, actors) - max(heads, key=lambda values: values[0]))
    found = conflict_auroc(_inconsistency, ours, actors)
    p2 = interval(found)
    p2_gain = interval(found - conflict_auroc(_divergence, known["votes"], actors))
    p2_rival = interval(found - conflict_auroc(_difference, known["votes"], actors))
    errors = interval(error_auroc(_inconsistency, ours, actors) - error_auroc(_doubt, ours, actors))
    rivals = [known[name] for name in ("logistic", "tical-concat")]
    best = max(rivals, key=lambda rival: mean_of(fused_hits, rival, actors)[0])
    overall = interval(mean_of(fused_hits, ours, actors) - mean_of(fused_hits, best, actors))
    in_conflict = interval(
        mean_of(fused_hits_in_conflict, ours, actors) - mean_of(fused_hits_in_conflict, best, actors)
    )
    return {
        "P1 voice pseudo label": (p1, "at least +.020, interval above 0", p1.value >= 0.02 and p1.low > 0),
        "P2 AUROC of 1 - C": (p2, "above .743", p2.value > 0.743),
        "P2 less JSD of the votes": (p2_gain, "interval above 0", p2_gain.low > 0),
        "P2 less overlap of the votes": (p2_rival, "", False),
        "P2 errors: 1 - C less 1 - top probability": (errors, "", False),
        "P3 fused": (overall, "lower bound above -.005", overall.low > -0.005),
        "P3 fused, conflict": (
            in_conflict,
            "at least +.010, interval above 0",
            in_conflict.value >= 0.01 and in_conflict.low > 0,
        ),
    }


def _answers(
    rounds: Sequence[Round],
    asked: argparse.Namespace,
    arm: str,
    within: NDArray[np.int64] | None,
    shown: NDArray[np.int64] | None,
) -> Answers:
    """Stored predictions with their rounds, on the actors that are shown."""
    asked_about, told = [], []
    for repeat, drawn in enumerate(rounds):
        drawn = restrict(drawn, within)
        stored = read_told(prediction_file(asked.run, arm, asked.k, repeat))
        if len(stored.fused) != len(drawn.y):
            raise UserError(
                f"{asked.run} holds predictions about other clips; was it made with --research? Name another"
            )
        rows = np.ones(len(drawn.y), dtype=bool) if shown is None else np.isin(drawn.actor, shown)
        asked_about.append(restrict(drawn, shown))
        told.append(Told(**{name: values[rows] for name, values in vars(stored).items()}))
    return Answers(asked_about, told)


def _head_hits(drawn: Round, told: Told) -> tuple[Array, Array]:
    return voice_hits(drawn, Told(**{**vars(told), "voice": told.head_voice}))


def _divergence(told: Told) -> Array:
    return jensen_shannon(told.voice, told.face)


def _difference(told: Told) -> Array:
    return 1 - overlap(told.voice, told.face)


def _inconsistency(told: Told) -> Array:
    return 1 - told.consistency


def _doubt(told: Told) -> Array:
    out: Array = 1 - told.fused.max(axis=1)
    return out


def _clips(answers: Answers) -> int:
    return len(answers.rounds[0].y)


def _say(line: str) -> None:
    print(line, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("votes", type=Path, help="folder with votes.csv")
    parser.add_argument("run", type=Path, help="folder of predictions")
    parser.add_argument("--arms", nargs="+", choices=ORDER, default=ORDER, metavar="ARM", help=", ".join(ORDER))
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--k", type=int, default=3, help="raters drawn per clip and modality")
    parser.add_argument("--research", action="store_true", help="research actors only")
    parser.add_argument("--smoke", action="store_true", help="does it run: seconds, no result")
    return parser.parse_args()


if __name__ == "__main__":
    script(main)
