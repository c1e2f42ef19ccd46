"""Pictures of earlier steps, kept for ranking."""

from __future__ import annotations

import json

from beholder.tatar.references import References
from beholder.tatar.rewards import PRESETS, Completion
from beholder.tatar.variants import REWARDS

OURS = PRESETS["beholder"]


def step_of(step: int, task: str = "aesthetics") -> list[Completion]:
    """Two pictures with two completions each."""
    return [
        Completion(task, "set", f"{step}-{i}", 50.0, score, 30, 33, target_std=7.0)  # type: ignore[arg-type]
        for i in range(2)
        for score in (40.0, None)
    ]


def filled(size: int, steps: int = 7) -> References:
    references = References(size)
    for step in range(steps):
        references.add(step, step_of(step), OURS)
    return references


def test_the_newest_pictures_are_kept_whole() -> None:
    kept = filled(3).of(7)
    assert [c.image for c in kept] == ["5-1", "5-1", "6-0", "6-0", "6-1", "6-1"]
    assert [c.score for c in kept] == [40.0, None] * 3


def test_none_is_older_than_four_steps_nor_of_the_step_itself() -> None:
    references = filled(100)
    assert {c.image[0] for c in references.of(7)} == {"3", "4", "5", "6"}
    assert {c.image[0] for c in references.of(6)} == {"3", "4", "5"}  # a step done again sees what it saw
    assert references.of(20) == []


def test_only_what_is_ranked_is_kept_and_nothing_without_a_queue() -> None:
    references = References(10)
    references.add(0, step_of(0, "quality"), OURS)
    assert references.of(1) == []
    references.add(0, step_of(0, "quality"), REWARDS["rank_only"])
    assert len(references.of(1)) == 4
    assert filled(0).of(7) == []


def test_what_is_written_as_json_comes_back() -> None:
    before, after = filled(3), References(3)
    after.restore(json.loads(json.dumps(before.written())))
    assert after.kept == before.kept
