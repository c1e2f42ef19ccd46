"""What the study on constructed pairing says: a table of arms, and the endpoints that were written down before it.

Reads the answers that `pairing_study.run_pairing` left; learns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from beholder.tical.endpoints import Interval
from beholder.tical.pairing import Rule
from beholder.tical.pairing_study import ARMS, REFERENCES, REGISTERED, SETTINGS, Said, Setting, read_said, said_file
from beholder.tical.votes_tables import Result

Array = NDArray[np.float64]
Measured = Mapping[str, Array]
"""Each of `COLUMNS` over seeds."""

COLUMNS = ("fused", "fused, conflict", "pseudo labels", "heads", "C", "odd modality")
"""Accuracies; the AUROC of 1 - C for conflict; the share of odd modalities that agree least with the others."""


def results_of(run: Path, seeds: int, settings: Sequence[Setting] = SETTINGS) -> list[Result]:
    """Of the arms that have answers to every seed of a setting: their table, and the registered endpoints.

    Raises ValueError for fewer than two seeds.
    """
    if seeds < 2:
        raise ValueError(f"{seeds} seeds; an interval over seeds needs 2 or more")
    found = {(rule, rho): _measured(run, rule, rho, seeds) for rule, rho in settings}
    rows: list[list[str]] = []
    tests: list[list[str]] = []
    measured: dict[str, Any] = {}
    tested: dict[str, Any] = {}
    for (rule, rho), arms in found.items():
        for arm, values in arms.items():
            rows.append([arm, rule, f"{rho:g}", *(_cell(over_seeds(values[name])) for name in COLUMNS)])
            measured[f"{arm}, {rule}, {rho:g}"] = {name: _known(each) for name, each in values.items()}
        for arm in (arm for arm in REGISTERED if {arm, *REFERENCES} <= set(arms)):
            for endpoint, (number, must, met) in endpoints(arms, arm).items():
                if np.isnan(number.value):
                    continue
                span = f"{number.value:+.3f} [{number.low:+.3f}, {number.high:+.3f}]"
                tests.append([endpoint, arm, rule, f"{rho:g}", span, must, "met" if met else "missed"])
                tested[f"{endpoint}, {arm}, {rule}, {rho:g}"] = {**vars(number), "must": must, "met": met}
    notes = [_CONSTRUCTED, f"Mean ± half of the 95 % t interval over {seeds} seeds, which share people and items."]
    paired = [_CONSTRUCTED, f"Differences paired by draw, with 95 % t intervals over {seeds} seeds."]
    table = Result(
        "emotion-pairing",
        "Constructed pairs of voices, faces and texts, in a share rho of which one is odd",
        ["arm", "label by", "rho", *COLUMNS],
        rows,
        {"seeds": seeds, "arms": measured},
        notes,
    )
    tests_of = Result(
        "emotion-pairing-endpoints",
        "Registered endpoints of the pairing study; those by others with rho = 0.5 decide",
        ["endpoint", "arm", "label by", "rho", "value", "must", "verdict"],
        tests,
        {"seeds": seeds, "endpoints": tested},
        paired,
    )
    return [one for one in (table, tests_of) if one.rows]


def measure_said(said: Said) -> dict[str, float]:
    """`COLUMNS` of one draw; NaN where nothing is in conflict, or where of two modalities none is the odd one."""
    hit = said.fused.argmax(axis=1) == said.label
    conflict, replaced = (said.shown != said.shown[0]).any(axis=0), said.odd >= 0
    known = 0 < conflict.mean() < 1
    values = (
        hit.mean(),
        hit[conflict].mean() if known else np.nan,
        (said.pseudo.argmax(axis=2) == said.shown).mean(),
        (said.heads.argmax(axis=2) == said.shown).mean(),
        roc_auc_score(conflict, 1 - said.consistency) if known else np.nan,
        (said.agreement.argmin(axis=0) == said.odd)[replaced].mean() if replaced.any() else np.nan,
    )
    return {name: float(value) for name, value in zip(COLUMNS, values, strict=True)}


def over_seeds(values: Array) -> Interval:
    """Mean and 95 % t interval over seeds, (seeds,)."""
    mean = float(values.mean())
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return Interval(mean, mean - half, mean + half)


def endpoints(found: Mapping[str, Measured], arm: str) -> dict[str, tuple[Interval, str, bool]]:
    """What was registered, of one setting: value with interval, what it must be, whether it is."""
    ours, rivals = found[arm], [found[name] for name in REFERENCES]
    heads = max(rivals, key=lambda rival: float(rival["heads"].mean()))
    best = max(rivals, key=lambda rival: float(rival["fused"].mean()))
    p1 = over_seeds(ours["pseudo labels"] - heads["heads"])
    p2 = over_seeds(ours["C"] - found["logistic"]["C"])
    odd = over_seeds(ours["odd modality"] - found["logistic"]["odd modality"])
    overall = over_seeds(ours["fused"] - best["fused"])
    conflict = over_seeds(ours["fused, conflict"] - best["fused, conflict"])
    return {
        "P1 pseudo labels": (p1, "at least +.020, interval above 0", p1.value >= 0.02 and p1.low > 0),
        "P2 AUROC of 1 - C less JSD of logistic": (p2, "interval above 0", p2.low > 0),
        "P2 odd modality less logistic": (odd, "interval above 0", odd.low > 0),
        "P3 fused": (overall, "lower bound above -.005", overall.low > -0.005),
        "P3 fused, conflict": (
            conflict,
            "at least +.010, interval above 0",
            conflict.value >= 0.01 and conflict.low > 0,
        ),
    }


_CONSTRUCTED = "Constructed: nobody ever said these words in this voice with this face."


def _measured(run: Path, rule: Rule, rho: float, seeds: int) -> dict[str, Measured]:
    """Of each arm that is complete."""
    files = {arm: [said_file(run, arm, rule, rho, seed) for seed in range(seeds)] for arm in ARMS}
    found = {
        arm: [measure_said(read_said(file)) for file in own]
        for arm, own in files.items()
        if all(file.exists() for file in own)
    }
    return {arm: {name: np.array([one[name] for one in each]) for name in COLUMNS} for arm, each in found.items()}


def _cell(number: Interval) -> str:
    return "" if np.isnan(number.value) else f"{number.value:.3f} ± {number.high - number.value:.3f}"


def _known(values: Array) -> list[float | None]:
    """JSON knows no NaN."""
    return [None if np.isnan(value) else float(value) for value in values]
