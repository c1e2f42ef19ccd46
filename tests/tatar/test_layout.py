"""Which pictures meet in one step, and which configurations are refused."""

from __future__ import annotations

from collections import Counter

import pytest

from beholder.errors import UserError
from beholder.tatar.layout import Layout, Place, Pool, check, schedule
from beholder.tatar.rewards import PRESETS

OURS = PRESETS["beholder"]


def pool(name: str, task: str, n: int) -> Pool:
    return Pool(name, task, tuple(float(i % 100) for i in range(n)))  # type: ignore[arg-type]


QUALITY, BEAUTY, ART = pool("koniq", "quality", 30), pool("ava", "aesthetics", 20), pool("art", "aesthetics", 10)


def steps_of(places: list[Place], size: int) -> list[list[Place]]:
    return [places[i : i + size] for i in range(0, len(places), size)]


def test_every_step_holds_both_tasks_each_from_one_data_set_and_no_picture_twice() -> None:
    layout, pools = Layout(pictures=12, group=4, batch=8), [QUALITY, BEAUTY, ART]
    check(layout, pools, OURS)
    for step in steps_of(schedule(layout, pools, steps=200, seed=3), 12):
        assert [pools[place.pool].task for place in step] == list(layout.tasks(pools))
        assert len({place.pool for place in step[6:]}) == 1
        assert len(set(step)) == 12


def test_each_picture_is_seen_once_before_any_is_seen_twice() -> None:
    layout = Layout(pictures=8, group=2, batch=2)
    places = schedule(layout, [pool("ava", "aesthetics", 13)], steps=13, seed=0)
    seen: Counter[int] = Counter()
    for place in places:
        assert seen[place.picture] == min(seen[i] for i in range(13))
        seen[place.picture] += 1
    assert set(seen.values()) == {8}


def test_data_sets_of_one_task_take_turns_by_their_sizes() -> None:
    pools = [QUALITY, BEAUTY, ART]
    steps = steps_of(schedule(Layout(8, 2, 2), pools, steps=30, seed=0), 8)
    assert Counter(step[-1].pool for step in steps) == {1: 20, 2: 10}


def test_a_schedule_depends_on_the_seed_alone_and_a_longer_one_begins_the_same() -> None:
    layout = Layout(8, 2, 2)
    places = schedule(layout, [QUALITY, BEAUTY], steps=10, seed=5)
    assert schedule(layout, [QUALITY, BEAUTY], steps=20, seed=5)[:80] == places
    assert schedule(layout, [QUALITY, BEAUTY], steps=10, seed=6) != places


def test_a_device_holds_several_pictures_of_a_task_and_the_same_share_of_a_step() -> None:
    layout = Layout(pictures=16, group=8, batch=8, devices=8)
    check(layout, [QUALITY, BEAUTY], OURS)
    assert (layout.per_device, layout.accumulation) == (2, 2)
    tasks = layout.tasks([QUALITY, BEAUTY])
    assert all(tasks[2 * device] == tasks[2 * device + 1] for device in range(8))


@pytest.mark.parametrize(
    ("layout", "pools", "said"),
    [
        (Layout(6, 4, 4), [QUALITY, BEAUTY], "3 of the 6 pictures of a step are of aesthetics"),
        (Layout(3, 4, 4), [BEAUTY], "3 of the 3 pictures"),
        (Layout(8, 1, 1), [QUALITY, BEAUTY], "group = 1"),
        (Layout(10, 4, 4, devices=4), [QUALITY, BEAUTY], "does not divide among 4 devices; try 12"),
        (Layout(8, 8, 8, devices=8), [QUALITY, BEAUTY], "device 4 would hold 1 picture of aesthetics"),
        (Layout(8, 4, 6), [QUALITY, BEAUTY], "try batch: 4"),
        (Layout(24, 4, 4), [QUALITY, ART], "art has 10 pictures, and a step takes 12"),
        (Layout(8, 4, 4), [QUALITY, Pool("flat", "aesthetics", (50.0,) * 9)], "all its 9 pictures have the score 50"),
    ],
)
def test_what_cannot_rank_is_refused_with_the_reason(layout: Layout, pools: list[Pool], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check(layout, pools, OURS)


def test_what_is_not_ranked_needs_no_company() -> None:
    check(Layout(2, 4, 4), [QUALITY], OURS)
    check(Layout(8, 8, 8, devices=8), [QUALITY, BEAUTY], PRESETS["released_code"])
