"""The study on votes: arms, cross-validation by actor, one file of predictions per arm and repeat."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from beholder.batch.files import replacing
from beholder.batch.jobs import Job, run_jobs
from beholder.tical.attribution import fit_attribution
from beholder.tical.classifier import TicalClassifier
from beholder.tical.config import VARIANTS, TicalConfig
from beholder.tical.consistency import jensen_shannon, overlap
from beholder.tical.inputs import fit_scaler
from beholder.tical.votes import EMOTIONS, MODALITIES, Design, Round, Votes, design_name, make_round, whole_round

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """What one arm says about clips it did not learn from. NaN where it says nothing."""

    fused: Array
    """(n, 6) P(emotion people name who see and hear)."""
    voice: Array
    """(n, 6) what the voice shows by itself."""
    face: Array
    head_voice: Array
    """(n, 6) the unimodal head, where it is not the pseudo label."""
    head_face: Array
    consistency: Array
    """(n,)."""


Arm = Callable[[Round, NDArray[np.int64], NDArray[np.int64]], Told]
"""(round, rows to learn from, rows to tell)."""


def run_study(
    votes: Votes,
    out: Path,
    *,
    arms: Sequence[str],
    design: Design = 3,
    repeats: int = 10,
    folds: int = 5,
    actors: NDArray[np.int64] | None = None,
    workers: int = 1,
    on_done: Callable[[str], None] = print,
) -> None:
    """Every arm on every repeat, `folds` by actor; what `out` already holds is skipped.

    With `actors` all others are left out, as if they did not exist. More than one of `workers` are processes of one
    thread each, that end with this one. `on_done` gets a line with the time left for each file that was written.
    Raises UserError where the votes lack what the design needs.
    """
    if not isinstance(design, int):
        whole_round(votes, design)  # says what is missing before any process starts
    jobs: list[Job] = [
        (votes, out, arm, design, repeat, folds, actors)
        for arm in arms
        for repeat in range(repeats)
        if not prediction_file(out, arm, design, repeat).exists()
    ]
    run_parts(_tell, jobs, workers, _job_title, on_done)


def run_parts(
    work: Callable[..., None],
    jobs: Sequence[Job],
    workers: int,
    title: Callable[..., str],
    on_done: Callable[[str], None],
) -> None:
    """Call `work(*job)` for every job, in this process or in several of one thread each that end with this one.

    `on_done` gets a line with `title(*job)` and the time left for each that is done.
    """
    began = time.monotonic()
    several = workers > 1 and len(jobs) > 1
    done = run_jobs(work, jobs, workers, use_one_thread, ()) if several else _one_by_one(work, jobs)
    for number, job in enumerate(done, start=1):
        left = timedelta(seconds=round((time.monotonic() - began) / number * (len(jobs) - number)))
        on_done(f"{title(*job)}: {number} of {len(jobs)}, {left} left")


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """An `.npz`, whole or not at all; floating-point numbers become float32."""
    file.parent.mkdir(parents=True, exist_ok=True)
    small: dict[str, Any] = {name: a.astype(np.float32) if a.dtype.kind == "f" else a for name, a in arrays.items()}
    with replacing(file) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **small)


def use_one_thread() -> None:
    """Several processes with several threads each wait for one another; a study took 17 times as long."""
    torch.set_num_threads(1)
    threadpool_limits(1)


def _one_by_one(work: Callable[..., None], jobs: Iterable[Job]) -> Iterable[Job]:
    for job in jobs:
        work(*job)
        yield job


def _job_title(_: Votes, __: Path, arm: str, design: Design, repeat: int, *___: object) -> str:
    return f"{arm}, {f'k = {design}' if isinstance(design, int) else design}, repeat {repeat}"


def _tell(
    votes: Votes, out: Path, arm: str, design: Design, repeat: int, folds: int, actors: NDArray[np.int64] | None
) -> None:
    """One arm on one repeat, and its file."""
    told = cross_validate(restrict(make_round(votes, design, repeat), actors), ARMS[arm], folds, repeat)
    write_arrays(prediction_file(out, arm, design, repeat), asdict(told))


def cross_validate(drawn: Round, arm: Arm, folds: int, repeat: int) -> Told:
    """Each clip told by a fit that did not see its actor."""
    n, classes = len(drawn.y), len(EMOTIONS)
    shapes = {name: (n,) if name == "consistency" else (n, classes) for name in Told.__dataclass_fields__}
    out = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
    for learn, tell in GroupKFold(folds, shuffle=True, random_state=repeat).split(drawn.y, groups=drawn.actor):
        for name, values in asdict(arm(drawn, learn, tell)).items():
            out[name][tell] = values
    return Told(**out)


def prediction_file(out: Path, arm: str, design: Design, repeat: int) -> Path:
    """Where the predictions of one arm and repeat are."""
    return out / arm / f"{design_name(design)}-{repeat:02d}.npz"


def read_told(file: Path) -> Told:
    """Predictions of one arm and repeat."""
    with np.load(file, allow_pickle=False) as stored:
        return Told(**{name: stored[name].astype(np.float64) for name in Told.__dataclass_fields__})


def restrict(drawn: Round, actors: NDArray[np.int64] | None) -> Round:
    """The clips of some actors."""
    if actors is None:
        return drawn
    rows = np.isin(drawn.actor, actors)
    return Round(
        {m: x[rows] for m, x in drawn.x.items()},
        {m: y[rows] for m, y in drawn.left_out.items()},
        drawn.y[rows],
        drawn.actor[rows],
        drawn.hard[rows],
        drawn.divergence[rows],
    )


def _votes(drawn: Round, _: NDArray[np.int64], tell: NDArray[np.int64]) -> Told:
    """Nothing learned: the shares as they are, their sum, and 1 - JSD."""
    voice, face = (drawn.shares[m][tell] for m in MODALITIES)
    return _told((voice + face) / 2, voice, face, 1 - jensen_shannon(voice, face))


def _logistic(drawn: Round, learn: NDArray[np.int64], tell: NDArray[np.int64]) -> Told:
    """Logistic regression on both modalities and on each, all on the shared label."""
    joined = np.hstack([drawn.x[m] for m in MODALITIES])
    voice, face = (_regress(drawn.x[m], drawn.y, learn, tell) for m in MODALITIES)
    return _told(_regress(joined, drawn.y, learn, tell), voice, face, 1 - jensen_shannon(voice, face))


def _logistic_true(drawn: Round, learn: NDArray[np.int64], tell: NDArray[np.int64]) -> Told:
    """The upper bound: each modality's regression on the majority of its own left-out raters."""
    joined = np.hstack([drawn.x[m] for m in MODALITIES])
    known = {m: learn[drawn.left_out[m][learn] >= 0] for m in MODALITIES}
    voice, face = (_regress(drawn.x[m], drawn.left_out[m], known[m], tell) for m in MODALITIES)
    return _told(_regress(joined, drawn.y, learn, tell), voice, face, overlap(voice, face))


def _attribution(drawn: Round, learn: NDArray[np.int64], tell: NDArray[np.int64]) -> Told:
    """Attribution by itself, without a network, anchors or typicality."""
    scaler = fit_scaler({m: x[learn] for m, x in drawn.x.items()})
    x = scaler(drawn.x)
    model = fit_attribution(
        {m: v[learn] for m, v in x.items()},
        np.eye(len(EMOTIONS))[drawn.y[learn]],
        ridge=TicalConfig().attribution_ridge,
    )
    told = {m: v[tell] for m, v in x.items()}
    heads = model.heads(told)
    return _told(model.label(told), heads["voice"], heads["face"], overlap(heads["voice"], heads["face"]))


def _tical(settings: Mapping[str, Any]) -> Arm:
    def arm(drawn: Round, learn: NDArray[np.int64], tell: NDArray[np.int64]) -> Told:
        given = None
        if settings.get("unimodal_targets") == "given":
            given = {m: _one_hot(drawn.left_out[m][learn]) for m in MODALITIES}
        model = TicalClassifier(settings)
        one_hot = np.eye(len(EMOTIONS))[drawn.y[learn]]
        model.fit({m: x[learn] for m, x in drawn.x.items()}, one_hot, groups=drawn.actor[learn], unimodal_y=given)
        x = {m: v[tell] for m, v in drawn.x.items()}
        pseudo, heads = model.pseudo_labels(x), model.head_probabilities(x)
        return Told(
            model.predict_proba(x),
            pseudo["voice"],
            pseudo["face"],
            heads["voice"],
            heads["face"],
            model.assess(x)["consistency"],
        )

    return arm


def _told(fused: Array, voice: Array, face: Array, consistency: Array) -> Told:
    return Told(fused, voice, face, voice, face, consistency)


def _regress(x: Array, y: NDArray[np.int64], learn: NDArray[np.int64], tell: NDArray[np.int64]) -> Array:
    model = LogisticRegression(max_iter=500).fit(x[learn], y[learn])
    out = np.zeros((len(tell), len(EMOTIONS)))
    out[:, model.classes_] = model.predict_proba(x[tell])
    return out


def _one_hot(labels: NDArray[np.int64]) -> Array:
    out: Array = np.where((labels >= 0)[:, None], np.eye(len(EMOTIONS))[labels], np.nan)
    return out


ARMS: dict[str, Arm] = {
    "votes": _votes,
    "logistic": _logistic,
    "logistic-true-labels": _logistic_true,
    "attribution-alone": _attribution,
    **{f"tical-{name}": _tical(settings) for name, settings in VARIANTS.items()},
}
"""What is compared. The `tical-` arms have the same encoders and budget; baselines are among them."""
