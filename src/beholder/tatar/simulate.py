"""What each reward tells GRPO, found without a model: simulated predictors score simulated pictures.

GRPO learns from differences inside a group, the completions of one picture, so that is what is measured: how far the
rewards of a group are apart, how much of that depends on the group's own scores and not on what else happens to be in
the batch, and whether nearer scores get more. A reward can have a high mean and say nothing.

    python -m beholder.tatar.simulate [-o bench/results]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from beholder.batch.files import replacing
from beholder.task import Task
from beholder.tatar import rewards, variants
from beholder.tatar.ranking import rank_official, thurstone, thurstone_official
from beholder.tatar.rewards import Completion, Reward, ranked

Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, Values], Values]
"""(rng, targets (n,)) -> scores (n, G), not yet clipped to 0 to 100."""

PICTURES, G = 8, 8
"""Pictures in a gathered set, and completions of each."""

SETS, REDRAWS = 80, 10
"""Simulated groups per row of the table; for each, what surrounds it is drawn `REDRAWS` times."""

MEAN, STD = 55.0, 15.0
"""Of targets, normal and clipped to 0 to 100, about as sets of photographs are rated."""

WORDS: Mapping[Task, tuple[float, float]] = {"quality": (45.0, 15.0), "aesthetics": (130.0, 30.0)}
"""Mean and deviation of the words of a completion, which have nothing to do with its score."""


def _near(error: float, bias: float = 0.0, spread: float = 5.0) -> Draw:
    """Scores around the target plus `bias`, with a fixed error per picture and a spread per completion."""

    def draw(rng: np.random.Generator, targets: Values) -> Values:
        centres = targets + bias + rng.normal(0, error, len(targets))
        return np.asarray(centres[:, None] + rng.normal(0, spread, (len(targets), G)))

    return draw


PREDICTORS: Mapping[str, Draw] = {
    "random": lambda rng, targets: rng.uniform(0, 100, (len(targets), G)),
    "collapsed": lambda rng, targets: MEAN + rng.normal(0, 2, (len(targets), G)),
    "fair": _near(error=10),
    "good": _near(error=4),
    "biased": _near(error=4, bias=20),
}
"""`random` knows nothing, `collapsed` says the mean of all pictures, `biased` is good but 20 points too high."""


def alone(reward: Reward) -> Reward:
    """The same reward where each picture is alone on its device, as in the released run: nobody else is seen."""

    def per_picture(completions: Sequence[Completion]) -> list[float]:
        found = [0.0] * len(completions)
        for image in dict.fromkeys(c.image for c in completions):
            members = [i for i, c in enumerate(completions) if c.image == image]
            for i, value in zip(members, reward([completions[i] for i in members]), strict=True):
                found[i] = value
        return found

    return per_picture


def total(name: str) -> Reward:
    """The totals that a recipe gets under a name, each picture on its own device."""
    return lambda completions: rewards.reward(completions, variants.REWARDS[name]).total.tolist()


REWARDS: Mapping[str, tuple[Task, Reward]] = {
    "Gaussian (quality)": ("quality", rewards.quality_gaussian),
    "Gaussian x 1.5 (released, aesthetics)": ("aesthetics", rewards.aesthetics_gaussian),
    "thurstone_official": ("aesthetics", ranked(thurstone_official)),
    "rank_official": ("aesthetics", ranked(rank_official)),
    "rank_official, one picture per device": ("aesthetics", alone(ranked(rank_official))),
    "thurstone": ("aesthetics", ranked(thurstone)),
    "thurstone, logistic": ("aesthetics", ranked(partial(thurstone, link="logistic"))),
    "thurstone, near targets count more": ("aesthetics", ranked(partial(thurstone, close=True))),
    "total of paper, quality": ("quality", total("paper")),
    "total of paper, aesthetics": ("aesthetics", total("paper")),
    "total of released_code, quality": ("quality", total("released_code")),
    "total of released_code, aesthetics": ("aesthetics", total("released_code")),
    "total of beholder, quality": ("quality", total("beholder")),
    "total of beholder, aesthetics": ("aesthetics", total("beholder")),
    "total of anchored, aesthetics": ("aesthetics", total("anchored")),
}


@dataclass(frozen=True)
class Signal:
    """What a reward tells a predictor."""

    mean: float
    std: float
    """Mean within-group standard deviation (ddof 1)."""
    signal_to_noise: float | None
    """Deviation inside a group due to its scores, over that due to the rest of the batch and lengths; None: no noise.

    Both of rewards less their group's mean, as advantages are. Below 1, most of an advantage is luck.
    """
    agreement: float
    """Mean rank correlation inside a group between reward and nearness to the target; 0 where all are equal."""


def simulate(
    reward: Reward, task: Task, draw: Draw, *, sets: int = SETS, redraws: int = REDRAWS, seed: int = 0
) -> Signal:
    """Rewards of `sets` groups, each seen `redraws` times: same scores, other pictures and lengths around."""
    rng = np.random.default_rng(seed)
    values, agreements = np.empty((sets, redraws, G)), []
    for one in range(sets):
        own_target = _targets(rng, 1)
        own = _clipped(draw(rng, own_target))
        for again in range(redraws):
            others = _targets(rng, PICTURES - 1)
            scores = np.concatenate([own, _clipped(draw(rng, others))])
            completions = _completions(rng, task, scores, np.concatenate([own_target, others]))
            values[one, again] = reward(completions)[:G]
            agreements.append(_agreement(values[one, again], -np.abs(own[0] - own_target)))
    advantages = values - values.mean(axis=2, keepdims=True)
    noise = advantages.var(axis=1, ddof=1).mean()
    signal = max(0.0, (advantages.mean(axis=1) ** 2).mean() - noise / redraws)
    return Signal(
        mean=float(values.mean()),
        std=float(values.std(axis=2, ddof=1).mean()),
        signal_to_noise=float(np.sqrt(signal / noise)) if noise > 1e-12 else None,
        agreement=float(np.mean(agreements)),
    )


def _targets(rng: np.random.Generator, n: int) -> Values:
    return _clipped(rng.normal(MEAN, STD, n))


def _clipped(scores: Values) -> Values:
    return np.clip(scores, 0, 100)


def _completions(rng: np.random.Generator, task: Task, scores: Values, targets: Values) -> list[Completion]:
    mean, std = WORDS[task]
    words = np.maximum(1, rng.normal(mean, std, scores.shape)).astype(int)
    return [
        Completion(task, "simulated", str(i), float(targets[i]), float(scores[i, k]), int(n), int(n) + 1, device=i)
        for i, row in enumerate(words)
        for k, n in enumerate(row)
    ]


def _agreement(reward: Values, nearness: Values) -> float:
    if np.ptp(reward) < 1e-12 or np.ptp(nearness) < 1e-12:
        return 0.0
    return float(spearmanr(reward, nearness).statistic)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate all rewards and predictors; print and store two tables: what a group is told, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("bench/results"))
    out = parser.parse_args(arguments).out
    found = {
        name: {predictor: simulate(reward, task, draw) for predictor, draw in PREDICTORS.items()}
        for name, (task, reward) in REWARDS.items()
    }
    setting = (
        f"Simulated: {SETS} groups of {G} completions, {PICTURES} pictures in a set, {REDRAWS} sets around each group."
    )
    numbers = {name: {predictor: asdict(one) for predictor, one in of.items()} for name, of in found.items()}
    caption = "Deviation inside a group / signal to noise / rank agreement with nearness to the target. "
    _store(out / "tatar-simulation.json", found, _told, caption + setting, measured=numbers)
    _store(out / "tatar-simulation-means.json", found, lambda signal: f"{signal.mean:.3f}", f"Mean reward. {setting}")
    return 0


def _told(signal: Signal) -> str:
    ratio = "∞" if signal.signal_to_noise is None else f"{signal.signal_to_noise:.1f}"
    return f"{signal.std:.3f} / {ratio} / {signal.agreement:.2f}"


def _store(
    file: Path,
    found: Mapping[str, Mapping[str, Signal]],
    cell: Callable[[Signal], str],
    caption: str,
    **more: object,
) -> None:
    rows = [[name, *(cell(signal) for signal in of.values())] for name, of in found.items()]
    columns = ["reward", *PREDICTORS]
    with replacing(file) as temporary:
        content = {"table": {"columns": columns, "rows": rows}, "caption": caption, **more}
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(caption, *(" | ".join(row) for row in (columns, *rows)), sep="\n")


if __name__ == "__main__":
    raise SystemExit(main())
