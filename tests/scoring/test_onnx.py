from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_model import LEVEL_VALUES, tiny_model, write_tiny_checkpoint

from beholder.errors import UserError
from beholder.scoring.card import Card
from beholder.scoring.onnx import OnnxScorer, sha256_of
from beholder.scoring.scorer import View
from beholder.task import TASKS


def copy(checkpoint: Path, folder: Path) -> Path:
    return Path(shutil.copytree(checkpoint, folder / "copy"))


def recard(folder: Path) -> None:
    """Make the card vouch for the weights as they are now."""
    card = Card.read(folder / "card.json")
    card.model_copy(update={"weights_sha256": sha256_of(folder / card.weights_file)}).write(folder / "card.json")


def test_each_view_gets_five_probabilities_per_task_that_sum_to_1(checkpoint: Path, views: list[View]) -> None:
    answers = OnnxScorer.from_folder(checkpoint).infer(views, TASKS)
    assert len(answers) == len(views)
    for verdicts in answers:
        assert set(verdicts) == {"quality", "aesthetics"}
        for verdict in verdicts.values():
            assert verdict.levels is not None
            assert len(verdict.levels) == 5
            assert sum(verdict.levels) == pytest.approx(1, abs=1e-5)
            assert verdict.score == pytest.approx(np.dot(verdict.levels, LEVEL_VALUES))


def test_answers_follow_the_pictures_and_not_their_neighbours(checkpoint: Path, views: list[View]) -> None:
    scorer = OnnxScorer.from_folder(checkpoint)
    alone = [scorer.infer([view], TASKS)[0] for view in views]
    assert len({verdicts["quality"].levels for verdicts in alone}) == len(views), "the views must differ to prove it"
    order = np.random.default_rng(2).permutation(len(views))
    shuffled = scorer.infer([views[i] for i in order], TASKS)
    same_size = scorer.infer([views[0]] * 8, TASKS)
    for i, verdicts in zip(order, shuffled, strict=True):
        for task in TASKS:
            np.testing.assert_allclose(verdicts[task].levels, alone[i][task].levels, rtol=0, atol=1e-5)
    for verdicts in same_size:
        np.testing.assert_allclose(verdicts["quality"].levels, alone[0]["quality"].levels, rtol=0, atol=1e-5)


def test_the_number_of_threads_does_not_change_the_answer(checkpoint: Path, views: list[View]) -> None:
    one, two = (OnnxScorer.from_folder(checkpoint, threads=n).infer(views, TASKS) for n in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a["quality"].levels, b["quality"].levels, rtol=0, atol=1e-5)


def test_no_views_give_no_answers(checkpoint: Path) -> None:
    assert OnnxScorer.from_folder(checkpoint).infer([], TASKS) == []


def test_a_model_may_have_one_head(tmp_path: Path, views: list[View]) -> None:
    scorer = OnnxScorer.from_folder(write_tiny_checkpoint(tmp_path, tasks=["aesthetics"]))
    assert set(scorer.infer(views[:1], list(scorer.card.tasks))[0]) == {"aesthetics"}


def test_the_card_decides_how_large_a_picture_is_looked_at(tmp_path: Path) -> None:
    scorer = OnnxScorer.from_folder(write_tiny_checkpoint(tmp_path, fit_area=10_000))
    assert scorer.fit.area == 10_000


@pytest.mark.parametrize("view", [np.zeros((64, 64, 3), np.float32), np.zeros((64, 64), np.uint8)])
def test_a_view_of_another_type_or_shape_is_refused(checkpoint: Path, view: View) -> None:
    with pytest.raises(ValueError, match=r"uint8 of shape \(height, width, 3\); got"):
        OnnxScorer.from_folder(checkpoint).infer([view], TASKS)


def test_replaced_weights_are_refused_naming_both_digests(checkpoint: Path, tmp_path: Path) -> None:
    folder = copy(checkpoint, tmp_path)
    expected = Card.read(folder / "card.json").weights_sha256
    (folder / "tiny.onnx").write_bytes(tiny_model(seed=7).SerializeToString())
    with pytest.raises(UserError) as refusal:
        OnnxScorer.from_folder(folder)
    assert expected in str(refusal.value)
    assert sha256_of(folder / "tiny.onnx") in str(refusal.value)


def test_truncated_weights_are_refused_by_their_digest(checkpoint: Path, tmp_path: Path) -> None:
    folder = copy(checkpoint, tmp_path)
    weights = folder / "tiny.onnx"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match="truncated, damaged or replaced"):
        OnnxScorer.from_folder(folder)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"not a model at all", lambda b: b[::-1]])
def test_weights_that_are_not_whole_onnx_are_refused_even_with_the_right_digest(
    checkpoint: Path, tmp_path: Path, damage: object
) -> None:
    folder = copy(checkpoint, tmp_path)
    weights = folder / "tiny.onnx"
    weights.write_bytes(damage(weights.read_bytes()))  # type: ignore[operator]
    recard(folder)
    with pytest.raises(UserError, match=r"can't be loaded by onnxruntime"):
        OnnxScorer.from_folder(folder)


def test_empty_weights_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = copy(checkpoint, tmp_path)
    (folder / "tiny.onnx").write_bytes(b"")
    recard(folder)
    with pytest.raises(UserError, match="has 0 bytes"):
        OnnxScorer.from_folder(folder)


def test_missing_weights_are_named(checkpoint: Path, tmp_path: Path) -> None:
    folder = copy(checkpoint, tmp_path)
    (folder / "tiny.onnx").unlink()
    with pytest.raises(UserError, match=r"'tiny\.onnx', but .* is not there"):
        OnnxScorer.from_folder(folder)


def test_weights_in_a_second_file_are_refused_because_no_digest_covers_them(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path)
    onnx.save(tiny_model(), folder / "tiny.onnx", save_as_external_data=True, location="more.bin", size_threshold=0)
    recard(folder)
    with pytest.raises(UserError, match="external data"):
        OnnxScorer.from_folder(folder)


def test_outputs_that_the_card_does_not_name_are_refused(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path, tasks=["quality"], model=tiny_model(["quality", "aesthetics"]))
    with pytest.raises(UserError, match=r"outputs quality, aesthetics; .* those of its card, quality"):
        OnnxScorer.from_folder(folder)


def test_an_input_of_fixed_size_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path, model=tiny_model(batch=1))
    with pytest.raises(UserError, match=r"one input rgb tensor\(uint8\) \[batch, height, width, 3\]"):
        OnnxScorer.from_folder(folder)


def test_a_model_that_does_not_answer_with_probabilities_is_found_out(tmp_path: Path, views: list[View]) -> None:
    model = tiny_model(["quality"])
    [softmax] = [node for node in model.graph.node if node.op_type == "Softmax"]
    softmax.op_type = "LpNormalization"
    scorer = OnnxScorer.from_folder(write_tiny_checkpoint(tmp_path, tasks=["quality"], model=model))
    with pytest.raises(UserError, match="5 probabilities that sum to 1"):
        scorer.infer(views, ["quality"])


def test_zero_threads_are_refused(checkpoint: Path) -> None:
    with pytest.raises(UserError, match="threads = 0"):
        OnnxScorer.from_folder(checkpoint, threads=0)


def test_a_task_that_is_not_wanted_is_not_judged(checkpoint: Path, views: list[View]) -> None:
    [verdicts] = OnnxScorer.from_folder(checkpoint).infer(views[:1], ["quality"])
    assert set(verdicts) == {"quality"}


def test_a_card_without_level_values_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path, tasks=["quality"])
    card = Card.read(folder / "card.json")
    head = card.tasks["quality"].model_copy(update={"level_values": None})
    card.model_copy(update={"tasks": {"quality": head}}).write(folder / "card.json")
    with pytest.raises(UserError, match="a card without level_values"):
        OnnxScorer.from_folder(folder)


def test_nothing_is_reported_and_no_file_is_left_in_the_home_folder(checkpoint: Path, tmp_path: Path) -> None:
    """ONNX Runtime reports its use unless told otherwise, except in the surroundings of a CI."""
    folders = {"HOME": tmp_path, "TMPDIR": tmp_path, "XDG_CACHE_HOME": tmp_path / "cache"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "CI", "GITHUB_"))}
    code = (
        f"import beholder, numpy; beholder.load({str(checkpoint)!r}).score(numpy.full((64, 64, 3), 128, numpy.uint8))"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env=environment | {k: str(v) for k, v in folders.items()},
        cwd=tmp_path,
    )
    assert list(tmp_path.rglob("*")) == []
