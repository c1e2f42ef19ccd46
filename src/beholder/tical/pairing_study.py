"""The study on constructed pairing: arms with the same encoders and budget, one file per arm, setting and seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from beholder.batch.jobs import Job
from beholder.tical.classifier import TicalClassifier
from beholder.tical.config import VARIANTS
from beholder.tical.consistency import Pair, agree
from beholder.tical.constructed import EMOTIONS
from beholder.tical.inputs import fit_scaler
from beholder.tical.pairing import COUNTS, Part, Rule, draw
from beholder.tical.study import run_parts, write_arrays

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

RHOS = (0.5, 0.3, 0.0)
"""Shares of conflict; the deciding one first."""
RULES: tuple[Rule, ...] = ("others", "people")
Setting = tuple[Rule, float]
SETTINGS: tuple[Setting, ...] = tuple((rule, rho) for rule in RULES for rho in RHOS)
SEEDS = 10


@dataclass(frozen=True)
class Said:
    """What one arm says about the test samples of one draw, beside what is true of them; M modalities.

    Classes are columns of `EMOTIONS`.
    """

    label: Codes
    """(n,)."""
    shown: Codes
    """(M, n) the class each modality shows."""
    odd: Codes
    """(n,) the place of the odd modality, -1 where there is none."""
    fused: Array
    """(n, 6)."""
    pseudo: Array
    """(M, n, 6) what each modality is said to show by itself."""
    heads: Array
    """(M, n, 6) its unimodal head, where that is not the pseudo label."""
    consistency: Array
    """(n,)."""
    agreement: Array
    """(M, n) the mean agreement of each modality with the others; the lowest is said to be odd."""


Arm = Callable[[dict[str, Part], Mapping[str, Any]], Said]
"""(parts of a draw, settings that change those of a network)."""


def run_pairing(
    items: Path,
    people: Array,
    out: Path,
    *,
    arms: Sequence[str],
    rules: Sequence[Rule] = RULES,
    rhos: Sequence[float] = RHOS,
    seeds: int = SEEDS,
    workers: int = 1,
    counts: Mapping[str, int] = COUNTS,
    settings: Mapping[str, Any] | None = None,
    on_done: Callable[[str], None] = print,
) -> None:
    """Every arm in every setting; what `out` already holds is skipped.

    `items` is the folder of voices, faces and texts, `people` what `pairing.people_table` gives. `counts` of samples
    and `settings` of all networks are for a quick look. More than one of `workers` are processes of one thread each,
    that end with this one. `on_done` gets a line with the time left for each file that was written.
    """
    jobs: list[Job] = [
        (items, people, out, dict(counts), dict(settings or {}), arm, rule, rho, seed)
        for rule in rules
        for rho in rhos
        for seed in range(seeds)
        for arm in arms
        if not said_file(out, arm, rule, rho, seed).exists()
    ]
    run_parts(_one, jobs, workers, _title, on_done)


def _title(*job: Any) -> str:
    arm, rule, rho, seed = job[-4:]
    return f"{arm}, label by {rule}, rho = {rho:g}, seed {seed}"


def _one(
    items: Path,
    people: Array,
    out: Path,
    counts: Mapping[str, int],
    settings: Mapping[str, Any],
    arm: str,
    rule: Rule,
    rho: float,
    seed: int,
) -> None:
    said = ARMS[arm](draw(items, people, rule, rho, seed, counts), settings)
    write_arrays(said_file(out, arm, rule, rho, seed), vars(said))


def said_file(out: Path, arm: str, rule: Rule, rho: float, seed: int) -> Path:
    """Where the answers of one arm, setting and seed are."""
    return out / arm / f"{rule}-{rho:g}-{seed:02d}.npz"


def is_complete(out: Path, setting: Setting, arms: Sequence[str], seeds: int = SEEDS) -> bool:
    """Whether all `arms` have answered every seed of a setting."""
    return all(said_file(out, arm, *setting, seed).exists() for arm in arms for seed in range(seeds))


def read_said(file: Path) -> Said:
    """Answers that `run_pairing` stored."""
    with np.load(file, allow_pickle=False) as stored:
        return Said(**{name: stored[name] for name in Said.__dataclass_fields__})


def _logistic(parts: dict[str, Part], _: Mapping[str, Any]) -> Said:
    """Logistic regression on all modalities and on each, all on the label of the sample."""
    learn, test = parts["train"], parts["test"]
    scaler, label = fit_scaler(learn.x), learn.drawn.label
    x, told = scaler(learn.x), scaler(test.x)
    heads = {m: _regress(x[m], label, told[m]) for m in x}
    fused = _regress(np.hstack(list(x.values())), label, np.hstack(list(told.values())))
    agreement = {(m, n): agree(heads[m], heads[n], "jsd") for m, n in combinations(heads, 2)}
    return _said(test, fused, heads, heads, np.mean(list(agreement.values()), axis=0), agreement)


def _tical(variant: str) -> Arm:
    def arm(parts: dict[str, Part], settings: Mapping[str, Any]) -> Said:
        learn, valid, test = parts["train"], parts["valid"], parts["test"]
        model = TicalClassifier({**VARIANTS[variant], **settings})
        model.fit(
            learn.x,
            _one_hot(learn.drawn.label),
            groups=learn.group,
            unimodal_y={m: _one_hot(shown) for m, shown in learn.drawn.shown.items()},
            validation=(valid.x, _one_hot(valid.drawn.label)),
        )
        report, pseudo = model.assess(test.x), model.pseudo_labels(test.x)
        agreement = {(m, n): report[f"{m}__{n}_agreement"] for m, n in combinations(pseudo, 2)}
        heads = model.head_probabilities(test.x)
        return _said(test, model.predict_proba(test.x), pseudo, heads, report["consistency"], agreement)

    return arm


def _said(
    test: Part,
    fused: Array,
    pseudo: Mapping[str, Array],
    heads: Mapping[str, Array],
    consistency: Array,
    agreement: Mapping[Pair, Array],
) -> Said:
    drawn, modalities = test.drawn, list(pseudo)
    return Said(
        _codes(drawn.label),
        np.stack([_codes(drawn.shown[m]) for m in modalities]),
        np.array([-1 if m == "" else modalities.index(m) for m in drawn.odd]),
        fused,
        np.stack(list(pseudo.values())),
        np.stack(list(heads.values())),
        consistency,
        np.stack([np.mean([a for pair, a in agreement.items() if m in pair], axis=0) for m in modalities]),
    )


def _regress(x: Array, label: NDArray[np.str_], tell: Array) -> Array:
    model = LogisticRegression(max_iter=500, C=0.1).fit(x, label)
    out = np.zeros((len(tell), len(EMOTIONS)))
    out[:, _codes(model.classes_)] = model.predict_proba(tell)
    return out


def _codes(label: NDArray[np.str_]) -> Codes:
    codes: Codes = np.searchsorted(EMOTIONS, label)
    return codes


def _one_hot(label: NDArray[np.str_]) -> Array:
    out: Array = np.eye(len(EMOTIONS))[_codes(label)]
    return out


REGISTERED = ("tical-attribution", "tical-published")
REFERENCES = ("logistic", "tical-concat")
_OTHERS = ("late", "gated", "dmd-like", "shared", "head", "euclidean", "true-labels")

ARMS: dict[str, Arm] = {
    "logistic": _logistic,
    **{f"tical-{name}": _tical(name) for name in ("concat", "attribution", "published", *_OTHERS)},
}
"""What is compared; `tical-true-labels` learns what the others can't see, and is a bound."""
