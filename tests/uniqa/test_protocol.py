import json
from pathlib import Path

import numpy as np
import pytest
from nano_uniqa import tiny_model, write_bright

from beholder.errors import UserError
from beholder.evaluate.result import read_predictions, read_result
from beholder.uniqa.config import AdaptRecipe, FewLabelRecipe
from beholder.uniqa.dry_run import dry_run_labels
from beholder.uniqa.model import Uniqa
from beholder.uniqa.protocol import SUMMARY_FILE, Spread, run_adapt, run_few_label


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("protocol")
    write_bright(root / "set", "quality", ["train"] * 30 + ["test"] * 12)
    tiny_model().save(root / "model")
    return root


LEARN = {"features": "grid", "epochs": 15, "learning_rate": 1e-2, "hold_out": 0.2}


def adapt(place: Path, **changes: object) -> AdaptRecipe:
    fields = {"kind": "adapt", "name": "toy", "model": place / "model", "manifest": place / "set", "bf16": False,
              "repeats": 2, "learn": LEARN}  # fmt: skip
    return AdaptRecipe.model_validate(fields | changes)


def few(place: Path, **changes: object) -> FewLabelRecipe:
    fields = {"kind": "few_label", "name": "toy", "model": place / "model", "manifest": place / "set", "bf16": False,
              "labels": [12], "draws": 2, "learn": LEARN | {"hold_out": 0.0},
              "prompts": {"single": ["quality"], "ensemble": ["quality", "noise"]}}  # fmt: skip
    return FewLabelRecipe.model_validate(fields | changes)


def test_each_repeat_leaves_a_model_and_results_and_the_summary_is_their_median(place: Path, tmp_path: Path) -> None:
    summary = run_adapt(adapt(place, view={"crop_short": 34, "grid_short": 34}), tmp_path)
    lines = {line.setting: line for line in summary.lines}
    for which in ("best", "last"):
        found = [read_result(tmp_path / f"{repeat:02d}" / which).metrics["srcc"].value for repeat in range(2)]
        assert lines[which].srcc.values == tuple(found)
        assert lines[which].srcc.median == pytest.approx(np.median(found))
        assert lines[which].n_test == 12
    assert lines["last"].srcc.median > 0.5
    assert json.loads((tmp_path / SUMMARY_FILE).read_text())["manifest"] == "bright-quality"
    model = Uniqa.load(tmp_path / "00" / "model")
    assert model.config.tasks["quality"].trained_on == ("bright-quality:train",)
    assert model.config.tasks["quality"].native_range == (1, 5)
    assert model.config.tasks["quality"].short == 34, "what scores it afterwards looks at the same resolution"


def test_what_is_done_is_not_done_again(place: Path, tmp_path: Path) -> None:
    first = run_adapt(adapt(place, repeats=1), tmp_path)
    written = (tmp_path / "00" / "best" / "result.json").stat().st_mtime_ns
    assert run_adapt(adapt(place, repeats=1), tmp_path) == first
    assert (tmp_path / "00" / "best" / "result.json").stat().st_mtime_ns == written


def test_random_splits_test_on_other_pictures_in_each_repeat(place: Path, tmp_path: Path) -> None:
    run_adapt(adapt(place, split="random", learn={"method": "probe", "features": "grid"}), tmp_path)
    tested = [set(read_predictions(tmp_path / f"{repeat:02d}" / "best")["path"].to_pylist()) for repeat in range(2)]
    assert tested[0] != tested[1]


def test_a_probe_is_a_method_too(place: Path, tmp_path: Path) -> None:
    learn = {"method": "probe", "features": "grid"}
    summary = run_adapt(adapt(place, repeats=1, learn=learn), tmp_path)
    assert summary.lines[0].srcc.median > 0.8


def test_few_labels_measure_zero_shot_and_every_draw_on_one_test_part(place: Path, tmp_path: Path) -> None:
    summary = run_few_label(few(place), tmp_path)
    assert [(line.setting, len(line.srcc.values)) for line in summary.lines] == [
        ("zero-shot single", 1), ("12 labels single", 2),
        ("zero-shot ensemble", 1), ("12 labels ensemble", 2),
    ]  # fmt: skip
    assert {line.n_test for line in summary.lines} == {12}
    assert summary.lines[1].srcc.median > summary.lines[0].srcc.median


def test_more_labels_than_there_are_is_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"labels = \[500\], but the training part of bright-quality has 30"):
        run_few_label(few(place, labels=[500]), tmp_path)


def test_an_unreadable_test_picture_is_a_failed_row(tmp_path: Path) -> None:
    write_bright(tmp_path / "set", "quality", ["train"] * 20 + ["test"] * 6)
    tiny_model().save(tmp_path / "model")
    (tmp_path / "set" / "21.png").write_bytes(b"no picture")
    run_adapt(adapt(tmp_path, repeats=1), tmp_path / "run")
    result = read_result(tmp_path / "run" / "00" / "best")
    assert (result.n_total, result.n_scored, result.failures) == (6, 5, {"no_score": 1})


def test_a_dry_run_tells_parts_and_time(place: Path) -> None:
    text = "\n".join(dry_run_labels(adapt(place)).lines)
    assert "bright-quality, 30 to learn from, 12 to test on; nothing shared" in text
    assert "1,029 parameters learn" in text  # 2 * 32 * 16 + 5
    assert "2 runs" in text
    assert "4 runs" in "\n".join(dry_run_labels(few(place)).lines)


def test_median_and_quartiles() -> None:
    spread = Spread.of([0.1, 0.2, 0.3, 0.4, 0.5])
    assert (spread.low, spread.median, spread.high) == pytest.approx((0.2, 0.3, 0.4))
