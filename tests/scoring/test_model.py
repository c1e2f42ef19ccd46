from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_model import LEVEL_VALUES, write_tiny_checkpoint

import beholder
from beholder.errors import UserError
from beholder.imaging.status import ImageError
from beholder.scoring.model import Model
from beholder.scoring.onnx import expected_score
from beholder.task import Task


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Model:
    return beholder.load(checkpoint)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(3).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_path_image_and_array_of_one_picture_score_the_same(model: Model, photo: Path) -> None:
    with Image.open(photo) as image:
        scores = [model.score(photo), model.score(str(photo)), model.score(image), model.score(np.asarray(image))]
    assert len({(score.quality, score.aesthetics) for score in scores}) == 1
    assert [score.path for score in scores] == [str(photo), str(photo), None, None]
    assert (scores[0].width, scores[0].height) == (120, 90)
    assert scores[0].status == "ok"


def test_scores_are_the_mean_of_the_level_values_under_the_probabilities(model: Model, photo: Path) -> None:
    score = model.score(photo)
    for task in ("quality", "aesthetics"):
        levels = getattr(score, f"{task}_levels")
        value = getattr(score, task)
        assert 0 < value < 100
        assert value == pytest.approx(sum(p * v for p, v in zip(levels, LEVEL_VALUES, strict=True)), abs=1e-9)


def test_a_list_keeps_its_order_and_its_failures(model: Model, photo: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    tiny = Image.new("RGB", (8, 8))
    scores = model.score([photo, broken, tmp_path / "missing.png", tiny, photo])
    assert [score.status for score in scores] == ["ok", "unreadable", "unreadable", "too_small", "ok"]
    assert [score.path for score in scores] == [
        str(photo), str(broken), str(tmp_path / "missing.png"), None, str(photo),
    ]  # fmt: skip
    assert scores[0] == scores[4] == model.score(photo)
    for failed in scores[1:4]:
        assert failed.quality is failed.aesthetics is failed.quality_levels is None
        assert failed.error


def test_a_single_picture_that_fails_raises(model: Model, tmp_path: Path) -> None:
    with pytest.raises(ImageError) as failure:
        model.score(tmp_path / "missing.png")
    assert failure.value.status == "unreadable"


def test_an_empty_list_gives_an_empty_list(model: Model) -> None:
    assert model.score([]) == []


@pytest.mark.parametrize(("task", "other"), [("quality", "aesthetics"), ("aesthetics", "quality")])
def test_one_task_leaves_the_other_unscored(model: Model, photo: Path, task: Task, other: str) -> None:
    score = model.score(photo, task=task)
    assert score.of(task) == model.score(photo).of(task)
    assert getattr(score, other) is getattr(score, f"{other}_levels") is None


def test_an_unknown_task_is_refused_with_the_choices(model: Model, photo: Path) -> None:
    with pytest.raises(UserError, match="task = 'beauty'; allowed: quality, aesthetics, both"):
        model.score(photo, task="beauty")  # type: ignore[call-overload]


def test_a_task_without_a_head_is_refused_and_both_means_the_heads_there_are(tmp_path: Path, photo: Path) -> None:
    model = beholder.load(write_tiny_checkpoint(tmp_path / "one", tasks=["quality"]))
    with pytest.raises(UserError, match="has no score for aesthetics; it scores quality"):
        model.score(photo, task="aesthetics")
    score = model.score(photo)
    assert score.quality is not None
    assert score.aesthetics is None


def test_scores_stay_within_0_and_100_when_probabilities_sum_to_a_hair_more() -> None:
    sure = np.array([0, 0, 0, 0, np.nextafter(np.float32(1), np.float32(2))], np.float32)
    assert expected_score(sure, LEVEL_VALUES) == 100.0


def test_two_processes_give_the_same_bits(model: Model, checkpoint: Path, photo: Path) -> None:
    code = f"import beholder; print(beholder.load({str(checkpoint)!r}).score({str(photo)!r}).quality.hex())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    quality = model.score(photo).quality
    assert quality is not None
    assert run.stdout.strip() == quality.hex()


def test_a_model_says_what_it_is(model: Model) -> None:
    assert repr(model) == "<beholder model 'tiny' 1: quality, aesthetics, 0-100, on cpu>"
