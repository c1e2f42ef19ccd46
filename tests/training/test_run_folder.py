import json
from pathlib import Path

import pytest

from beholder.errors import UserError
from beholder.training.run_folder import best_checkpoint, claim, last_whole_checkpoint

FACTS = {"recipe": {"batch": 8, "lora": None}, "data": {"toy": 1}}


def test_the_same_run_goes_on_and_another_is_refused(tmp_path: Path):
    changed = {**FACTS, "recipe": {"batch": 16, "lora": None}}
    claim(tmp_path / "run", changed)
    claim(tmp_path / "run", FACTS)  # of the other one nothing was saved
    (tmp_path / "run" / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    claim(tmp_path / "run", FACTS)
    with pytest.raises(UserError, match=r"recipe\.batch was 8 and is 16"):
        claim(tmp_path / "run", changed)
    with pytest.raises(UserError, match=r"data\.more was None and is 2"):
        claim(tmp_path / "run", {**FACTS, "data": {"toy": 1, "more": 2}})


def test_the_last_whole_checkpoint_is_found_and_torn_ones_are_gone(tmp_path: Path):
    assert last_whole_checkpoint(tmp_path) is None
    for step, state in ((9, "{}"), (10, "{}"), (11, '{"global'), (12, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-9"]


def test_the_best_checkpoint_is_found_or_the_last_where_it_is_gone(tmp_path: Path):
    for step, best in ((3, 3), (6, 3), (9, 1)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps({"best_global_step": best}))
    assert best_checkpoint(tmp_path).name == "checkpoint-9"
    (tmp_path / "checkpoint-9" / "trainer_state.json").write_text('{"best_gl')
    assert best_checkpoint(tmp_path).name == "checkpoint-3"
    with pytest.raises(UserError, match="holds no checkpoint"):
        best_checkpoint(tmp_path / "none")
