"""What the trainer is given as rewards, and what it logs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from beholder.tatar.answer import read, write
from beholder.tatar.grpo_reward import GatheredReward, flattened, statistics
from beholder.tatar.references import References
from beholder.tatar.rewards import PRESETS, Completion, reward
from beholder.tatar.variants import REWARDS

END = 7
STATE = SimpleNamespace(global_step=0)
"""What is read of the trainer's."""
GROUP = 4
PICTURES = [  # task, picture, target, scores
    ("quality", "q1", 20.0, (18.0, 30.0, None, 25.0)),
    ("quality", "q2", 70.0, (60.0, 75.0, 71.0, 90.0)),
    ("aesthetics", "a1", 30.0, (35.0, 20.0, 28.0, 40.0)),
    ("aesthetics", "a2", 80.0, (70.0, 85.0, None, 50.0)),
]


def call(device: int = 0, devices: int = 1, preset: str = "beholder") -> tuple[list[float | None], dict[str, float]]:
    """Rewards of one device's share of `PICTURES`, and what it logs."""
    share = len(PICTURES) // devices
    rows = [(*about, score) for *about, scores in PICTURES[device * share : (device + 1) * share] for score in scores]
    logged: dict[str, float] = {}
    totals = GatheredReward(REWARDS[preset], [END], References(0), device=device)(
        completions=[[{"role": "assistant", "content": text_of(score)}] for *_, score in rows],
        completion_ids=[[1, 2, END]] * len(rows),
        task=[task for task, *_ in rows],
        dataset=[task for task, *_ in rows],
        picture=[picture for _, picture, *_ in rows],
        target=[target for *_, target, _ in rows],
        target_std=[None] * len(rows),
        log_metric=logged.__setitem__,
        trainer_state=STATE,
    )
    return totals, logged


def text_of(score: float | None) -> str:
    return "no answer at all" if score is None else write(score, "sharp " * 30)


def test_totals_are_those_of_the_preset_and_unparsed_is_the_least() -> None:
    totals, logged = call()
    assert totals[0] == pytest.approx(0.5 + np.exp(-(2**2) / (2 * (7.431566 * 1.016) ** 2)), abs=1e-5)
    assert totals[2] == -0.25
    assert totals[14] == -1.25
    assert min(total for i, total in enumerate(totals) if i not in (2, 14)) > -0.25  # type: ignore[type-var]
    assert logged["quality/parsed"] == 7 / 8
    assert logged["quality/failed/no_answer"] == 1 / 8
    assert logged["quality/words"] == pytest.approx((7 * 30 + 4) / 8)
    assert logged["quality/srcc"] == logged["aesthetics/srcc"] == pytest.approx(1)
    assert logged["quality/bias"] == pytest.approx((73 / 3 + 74) / 2 - 45)
    assert logged["rank_undefined"] == 0


def test_a_completion_that_hit_the_limit_counts_as_unparsed() -> None:
    logged: dict[str, float] = {}
    totals = GatheredReward(PRESETS["beholder"], [END], References(0), device=0)(
        completions=[[{"content": text_of(50)}]] * 2, completion_ids=[[1, 2, 3], [1, END]],
        task=["quality"] * 2, dataset=["q"] * 2, picture=["p"] * 2, target=[50.0] * 2, target_std=[None] * 2,
        log_metric=logged.__setitem__, trainer_state=STATE,
    )  # fmt: skip
    assert totals == [-0.25, 1.5]
    assert logged["quality/failed/truncated"] == 0.5


@pytest.mark.parametrize("rewards", REWARDS)
def test_a_score_without_reasons_counts_as_unparsed_under_our_rewards_alone(rewards: str) -> None:
    logged: dict[str, float] = {}
    totals = GatheredReward(REWARDS[rewards], [END], References(0), device=0)(
        completions=[[{"content": write(50, think)}] for think in (None, "sharp " * 30)] * 2,
        completion_ids=[[1, END]] * 4, task=["quality"] * 4, dataset=["q"] * 4, picture=["p", "p", "r", "r"],
        target=[50.0] * 4, target_std=[None] * 4, log_metric=logged.__setitem__, trainer_state=STATE,
    )  # fmt: skip
    ours = rewards not in ("paper", "released_code")
    assert logged["quality/failed/no_think"] == (0.5 if ours else 0)
    assert (totals[0] == totals[1]) is not ours  # type: ignore[comparison-overlap]
    assert totals[0] <= totals[1]  # type: ignore[operator]


def completions_of(scores: dict[str, tuple[float, ...]]) -> list[Completion]:
    return [Completion("quality", "d", name, 50.0, s, 40, 45) for name, row in scores.items() for s in row]


def test_a_group_without_differences_has_one_reward_and_is_counted() -> None:
    completions = completions_of({"same": (50, 50 + 1e-6, 50), "different": (50, 60, 70)})
    rewarded = reward(completions, PRESETS["beholder"])
    totals = flattened(completions, rewarded.total)
    assert len(set(totals[:3])) == 1
    assert totals[3:].tolist() == rewarded.total[3:].tolist()
    readings = [read(write(c.score, None)) for c in completions if c.score is not None]
    assert statistics(completions, readings, rewarded)["quality/flat"] == 0.5


def test_spread_is_that_within_groups_and_shares_sum_to_one() -> None:
    completions = completions_of({"low": (50, 50, 50), "high": (90, 90, 90)})
    readings = [read(write(c.score, None)) for c in completions if c.score is not None]
    found = statistics(completions, readings, reward(completions, PRESETS["beholder"]))
    assert found["quality/gaussian/std"] == pytest.approx(0, abs=1e-12)
    assert np.isnan(found["quality/srcc"])  # one target for all
    found = call()[1]
    assert sum(found[f"quality/{term}/share"] for term in ("gaussian", "format", "length")) == pytest.approx(1)


ONE_OF_TWO = """
import json, os, sys
sys.path.insert(0, {folder!r})
from accelerate import PartialState
from test_grpo_reward import call
state = PartialState(cpu=True)
totals, logged = call(state.process_index, 2, {preset!r})
open(os.path.join({out!r}, str(state.process_index)), "w").write(json.dumps([totals, logged]))
"""


def test_two_devices_reward_as_one_does(tmp_path: Path) -> None:
    """Two real processes, each with half of the pictures; statistics are of all on both."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    code = ONE_OF_TWO.format(folder=str(Path(__file__).parent), preset="rank_only", out=str(tmp_path))
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    assert [run.wait(timeout=300) for run in runs] == [0, 0]
    first, second = (json.loads((tmp_path / str(rank)).read_text()) for rank in range(2))
    totals, logged = call(preset="rank_only")
    assert first[0] + second[0] == pytest.approx(totals)
    assert first[1] == pytest.approx(logged, nan_ok=True)
    assert second[1] == pytest.approx(logged, nan_ok=True)
