"""What the study on votes says: a table of arms, and the endpoints that were written down before it was run.

Reads the predictions that `study.run_study` left; learns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from beholder.tical.fused_tables import COLUMNS, fused_rows
from beholder.tical.study import ARMS, Told, prediction_file, read_told, restrict
from beholder.tical.votes import FULL_DESIGNS, Design, Round, Votes, design_name, make_round, research_actors

REGISTERED_DESIGN: Design = 3
REGISTERED = ("tical-attribution", "tical-published")
REFERENCES = ("votes", "logistic", "tical-concat")
ORDER = (*REFERENCES, *REGISTERED, *(arm for arm in ARMS if arm not in (*REFERENCES, *REGISTERED)))
"""The arms that endpoints need come first."""

FOLDS = 5

Array = NDArray[np.float64]
Actors = NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """Predictions below `folder`, and how they were made."""

    votes: Votes
    folder: Path
    design: Design = 3
    repeats: int = 10
    research: bool = False
    """Whether it knew the research actors only."""


@dataclass(frozen=True)
class Result:
    """One table with the numbers behind it, ready for JSON."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    measured: Mapping[str, Any]
    notes: Sequence[str]


@dataclass(frozen=True)
class _About:
    """Rounds of raters, and the actors that a table is about; None is all of them."""

    run: Run
    rounds: Sequence[Round]
    facts: Mapping[str, object]
    shown: Actors | None

    @property
    def within(self) -> Actors | None:
        """The actors that models knew."""
        return research_actors(self.run.votes.actor) if self.run.research else None


def results_of(run: Run, folds: int = FOLDS) -> list[Result]:
    """Tables of all arms whose predictions are complete, of their own names for each design.

    The registered design, `k` = 3, has them of the actors that decide and of all, and its endpoints; the others, which
    decide nothing, have them of all actors. Raises UserError where predictions are about other clips.
    """
    done = [
        arm
        for arm in ORDER
        if all(prediction_file(run.folder, arm, run.design, r).exists() for r in range(run.repeats))
    ]
    research = research_actors(run.votes.actor)
    design = {"k": run.design} if isinstance(run.design, int) else {"design": run.design}
    facts = {**design, "repeats": run.repeats, "folds": folds, "research_actors": research.tolist()}
    rounds = [make_round(run.votes, run.design, repeat) for repeat in range(run.repeats)]
    registered = run.design == REGISTERED_DESIGN
    name = "emotion-votes" if registered else f"emotion-votes-{design_name(run.design)}"
    if not done:
        return []
    if run.research:
        return [
            _arms(
                f"{name}-research", f"the {len(research)} research actors", _About(run, rounds, facts, research), done
            )
        ]
    others = np.setdiff1d(run.votes.actor, research)
    decide, everybody = (_About(run, rounds, facts, shown) for shown in (others, None))
    who = f"all {len(research) + len(others)} actors"
    if not registered:
        return [_arms(name, who, everybody, done), _fused(f"{name}-fused", who, everybody, done)]
    few = f"the {len(others)} actors that nothing was chosen on"
    found = [
        _arms(name, few, decide, done),
        _arms(f"{name}-all", who, everybody, done),
        _fused(f"{name}-fused", few, decide, done),
        _fused(f"{name}-fused-all", who, everybody, done),
    ]
    if set(REFERENCES) <= set(done):
        about = {f"{len(others)} other actors": decide, f"all {len(research) + len(others)}": everybody}
        found.append(_registered(about, done))
    return found


def _arms(name: str, who: str, about: _About, arms: Sequence[str]) -> Result:
    rows, measured = [], {}
    for arm in arms:
        answers = _answers(about, arm)
        actors = resample_actors(answers.rounds[0].actor)
        numbers = {column: interval(values) for column, values in _measure(answers, actors).items()}
        ece = float(np.mean([fused_calibration_error(r, t) for r, t in zip(answers.rounds, answers.told, strict=True)]))
        measured[arm] = {**{column: vars(number) for column, number in numbers.items()}, "ece": ece}
        rows.append([arm, *(f"{number.value:.3f}" for number in numbers.values()), f"{ece:.3f}"])
    run = about.run
    notes = [_about_what(about, len(answers.rounds[0].y))]
    if run.design in FULL_DESIGNS:
        notes.append(
            "What voice and face show, and conflict, are here majorities of the very votes that are the input, so the "
            "columns about them (voice to C) are no test."
        )
    columns = ["arm", *_COLUMNS, "ECE"]
    return Result(name, _title(run, who), columns, rows, {**about.facts, "arms": measured}, notes + _beside(run))


def _fused(name: str, who: str, about: _About, arms: Sequence[str]) -> Result:
    known = {arm: _answers(about, arm) for arm in arms}
    rows, measured = fused_rows(known)
    clips = ", ".join(f"{part} {n}" for part, n in measured["clips"].items())
    best = measured["better_baseline"]
    notes = [
        _about_what(about, len(next(iter(known.values())).rounds[0].y)),
        f"Clips: {clips} (JSD of all raters' votes for voice and for face, cut at .171 and .379 bits).",
        *([f"Differences from {best} with paired 95 % bootstrap intervals over actors."] if best else ()),
        *(_beside(about.run) or ["Decides nothing."]),
    ]
    title = f"{_title(about.run, who)}: the fused answer"
    return Result(name, title, COLUMNS, rows, {**about.facts, **measured}, notes)


def _about_what(about: _About, clips: int) -> str:
    repeats, folds = about.run.repeats, about.facts["folds"]
    return f"Human votes as input. Mean of {repeats} repeats of {folds} folds by actor; n = {clips} clips."


def _title(run: Run, who: str) -> str:
    inputs = {
        "full": "all raters of each modality and their levels",
        "full-intended": "all raters of each modality and their levels, to tell the intended emotion",
    }
    given = f"{run.design} raters per clip and modality" if isinstance(run.design, int) else inputs[run.design]
    return f"CREMA-D votes, {given}, told about {who}"


def _beside(run: Run) -> list[str]:
    if run.design == REGISTERED_DESIGN:
        return []
    return ["Beside the registered study of three raters; decides nothing. Arms were chosen on some of these actors."]


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


def _registered(about: Mapping[str, _About], done: Sequence[str]) -> Result:
    rows, measured = [], {}
    for who, one in about.items():
        known = {arm: _answers(one, arm) for arm in (*REFERENCES, *REGISTERED) if arm in done}
        actors = resample_actors(known["votes"].rounds[0].actor)
        for arm in (arm for arm in REGISTERED if arm in known):
            for endpoint, (number, must, met) in _endpoints(known, arm, actors).items():
                span = f"{number.value:+.3f} [{number.low:+.3f}, {number.high:+.3f}]"
                verdict = ("met" if met else "missed") if must else ""
                rows.append([endpoint, arm, who, span, must, verdict])
                measured[f"{endpoint}, {arm}, {who}"] = {**vars(number), "must": must, "met": met}
    facts = next(iter(about.values())).facts
    return Result(
        "emotion-endpoints",
        f"Registered endpoints of the votes study; those of the {next(iter(about))} decide",
        ["endpoint", "arm", "actors", "value", "must", "verdict"],
        rows,
        {**facts, "endpoints": measured},
        ["Human votes as input. Differences with paired 95 % bootstrap intervals over actors."],
    )


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


def _answers(about: _About, arm: str) -> Answers:
    """Stored predictions with their rounds, on the actors that are shown."""
    asked_about, told = [], []
    for repeat, drawn in enumerate(about.rounds):
        drawn = restrict(drawn, about.within)
        stored = read_told(prediction_file(about.run.folder, arm, about.run.design, repeat))
        if len(stored.fused) != len(drawn.y):
            raise UserError(
                f"{about.run.folder} holds predictions about other clips; was it made with --research? Name another"
            )
        rows = np.ones(len(drawn.y), dtype=bool) if about.shown is None else np.isin(drawn.actor, about.shown)
        asked_about.append(restrict(drawn, about.shown))
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
