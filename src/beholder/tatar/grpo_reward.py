"""The reward function of GRPO's trainer: rewards of all devices' completions together, and what is logged of them.

Statistics are per task: of each term the mean and the standard deviation within groups, which is what an advantage is
made of; how much could be read; words; and whether the means of the groups are in the right order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from accelerate.utils import gather_object
from numpy.typing import NDArray

from beholder.evaluate.correlation import srcc
from beholder.task import TASKS, Task
from beholder.tatar.answer import Reading, Reason, read
from beholder.tatar.references import References
from beholder.tatar.rewards import Completion, Preset, Rewarded, by_picture, reward

if TYPE_CHECKING:
    from transformers import TrainerState

Values = NDArray[np.float64]

FLAT = 1e-3
"""A group whose rewards have less standard deviation than this teaches nothing: its advantages are 0 (section 6)."""


class GatheredReward:
    """Callable as `GRPOTrainer` calls its `reward_funcs`; `layout` has put whole groups on every device."""

    __name__ = "total"

    def __init__(self, preset: Preset, end_tokens: Sequence[int], references: References, *, device: int) -> None:
        self.preset, self.end_tokens, self.device = preset, frozenset(end_tokens), device
        self.references = references

    def __call__(
        self,
        completions: Sequence[Sequence[Mapping[str, str]]],
        completion_ids: Sequence[Sequence[int]],
        task: Sequence[Task],
        dataset: Sequence[str],
        picture: Sequence[str],
        target: Sequence[float],
        target_std: Sequence[float | None],
        log_metric: Callable[[str, float], None],
        trainer_state: TrainerState,
        **_: Any,
    ) -> list[float | None]:
        """Total rewards of this device's completions, in their order; the columns are those of `grpo.as_dataset`."""
        here = []
        for place, (chat, ids) in enumerate(zip(completions, completion_ids, strict=True)):
            cut = not ids or ids[-1] not in self.end_tokens
            found = read(chat[0]["content"], cut=cut, require_reasons=self.preset.require_reasons)
            about = (task[place], dataset[place], picture[place], float(target[place]))
            words = (found.n_words, len(chat[0]["content"].split()))
            here.append((Completion(*about, found.score, *words, self.device, target_std[place]), found))
        gathered: list[tuple[Completion, Reading]] = gather_object(here)
        everything, readings = [c for c, _ in gathered], [found for _, found in gathered]
        step = trainer_state.global_step
        rewarded = reward(everything, self.preset, self.references.of(step))
        self.references.add(step, everything, self.preset)
        for name, value in statistics(everything, readings, rewarded).items():
            log_metric(name, value)
        totals = flattened(everything, rewarded.total)
        return [float(total) for total in totals[self.device * len(here) : (self.device + 1) * len(here)]]


def flattened(completions: Sequence[Completion], totals: Values) -> Values:
    """Totals, with those of a group that hardly differ set to their mean, so that no noise is blown up."""
    found = totals.copy()
    for members in by_picture(completions):
        if totals[members].std(ddof=1) < FLAT:
            found[members] = totals[members].mean()
    return found


def statistics(completions: Sequence[Completion], readings: Sequence[Reading], rewarded: Rewarded) -> dict[str, float]:
    """What is logged of one gathered set, by name; NaN where it is not defined, as of constant scores.

    `TASK/TERM/mean`, `/std` (within groups) and `/share` (of the sum of these); `TASK/total/...`; `TASK/parsed`,
    `TASK/failed/REASON` (shares), `TASK/words`, `TASK/srcc` and `TASK/bias` (group means against targets),
    `TASK/flat` (share of groups that teach nothing); `rank_undefined`.
    """
    found: dict[str, float] = {"rank_undefined": float(rewarded.rank_undefined)}
    for task in TASKS:
        of_task = [members for members in by_picture(completions) if completions[members[0]].task == task]
        if not of_task:
            continue
        places = [place for members in of_task for place in members]
        spreads = {}
        for name, values in {**rewarded.terms, "total": rewarded.total}.items():
            if np.isnan(values[places]).all():
                continue
            spreads[name] = _spread(values, of_task)
            found[f"{task}/{name}/mean"] = float(values[places].mean())
            found[f"{task}/{name}/std"] = spreads[name]
        terms = sum(spread for name, spread in spreads.items() if name != "total")
        for name, spread in spreads.items():
            if name != "total":
                found[f"{task}/{name}/share"] = spread / terms if terms else math.nan
        found |= {f"{task}/{name}": value for name, value in _readings(readings, completions, places).items()}
        found |= {f"{task}/{name}": value for name, value in _order(completions, of_task).items()}
        flat = [rewarded.total[members].std(ddof=1) < FLAT for members in of_task]
        found[f"{task}/flat"] = float(np.mean(flat))
    return found


def _spread(values: Values, of_task: Sequence[Sequence[int]]) -> float:
    return float(np.mean([values[list(members)].std(ddof=1) for members in of_task]))


def _readings(
    readings: Sequence[Reading], completions: Sequence[Completion], places: Sequence[int]
) -> dict[str, float]:
    failures = Counter(failure for place in places if (failure := readings[place].failure))
    return {
        "parsed": sum(readings[place].failure is None for place in places) / len(places),
        "words": float(np.mean([completions[place].n_words for place in places])),
        **{f"failed/{reason}": failures[reason] / len(places) for reason in get_args(Reason)},
    }


def _order(completions: Sequence[Completion], of_task: Sequence[Sequence[int]]) -> dict[str, float]:
    means, targets = [], []
    for members in of_task:
        scores = [score for place in members if (score := completions[place].score) is not None]
        if scores:
            means.append(float(np.mean(scores)))
            targets.append(completions[members[0]].target)
    return {
        "srcc": srcc(means, targets) if len(means) > 1 else math.nan,
        "bias": float(np.mean(means) - np.mean(targets)) if means else math.nan,
    }
