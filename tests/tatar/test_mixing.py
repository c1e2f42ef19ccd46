from collections import Counter

import pytest

from beholder.task import Task
from beholder.tatar.mixing import mix

TASKS: list[Task] = ["quality"] * 30 + ["aesthetics"] * 100


def test_every_example_is_drawn_and_the_smaller_task_as_often_as_the_larger():
    draws = mix(TASKS, batch=8)
    assert {draw.example for draw in draws} == set(range(130))
    share = sum(TASKS[draw.example] == "quality" for draw in draws) / len(draws)
    assert share == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_the_share_of_quality_is_what_was_asked_for(share: float):
    draws = mix(TASKS, batch=8, quality_share=share, epochs=5)
    assert sum(TASKS[draw.example] == "quality" for draw in draws) / len(draws) == pytest.approx(share, abs=0.06)


def test_no_example_is_seen_again_before_all_of_its_task_were_seen():
    seen: dict[str, list[int]] = {"quality": [], "aesthetics": []}
    for draw in mix(TASKS, batch=8, epochs=2):
        seen[TASKS[draw.example]].append(draw.example)
    for task, found in seen.items():
        n = TASKS.count(task)
        for start in range(0, len(found), n):
            part = found[start : start + n]
            assert len(set(part)) == len(part)
        assert found[:n] != found[n : 2 * n]


def test_all_steps_are_whole():
    assert [len(mix(TASKS, batch=batch)) % batch for batch in (1, 7, 64, 300)] == [0, 0, 0, 0]


def test_one_task_alone_is_seen_as_often_as_epochs_say():
    draws = mix(["aesthetics"] * 12, batch=4, epochs=3)
    assert Counter(draw.example for draw in draws) == dict.fromkeys(range(12), 3)


def test_the_order_depends_on_the_seed_alone():
    assert mix(TASKS, batch=8, seed=1) == mix(TASKS, batch=8, seed=1) != mix(TASKS, batch=8, seed=2)


def test_think_dropout_leaves_the_block_out_as_often_as_asked_and_changes_no_order():
    whole = mix(TASKS, batch=8, epochs=4)
    dropped = mix(TASKS, batch=8, epochs=4, think_dropout={"quality": 0.5})
    assert [draw.example for draw in dropped] == [draw.example for draw in whole]
    assert {draw.form for draw in whole} == {"reasons"}
    assert {draw.form for draw in dropped if TASKS[draw.example] == "aesthetics"} == {"reasons"}
    quality = [draw.form for draw in dropped if TASKS[draw.example] == "quality"]
    assert quality.count("number") / len(quality) == pytest.approx(0.5, abs=0.1)


def test_level_rows_come_in_between_as_often_as_asked_and_take_nothing_away():
    plain = mix(TASKS, batch=1, epochs=4)
    mixed = mix(TASKS, batch=1, epochs=4, level_rows=0.1)
    levels = [draw.example for draw in mixed if draw.form == "level"]
    assert len(levels) / len(mixed) == pytest.approx(0.1, abs=0.03)
    assert {TASKS[example] for example in levels} == {"quality", "aesthetics"}
    assert {draw.example for draw in mixed if draw.form == "reasons"} == {draw.example for draw in plain}
