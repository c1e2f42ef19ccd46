from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import beholder
from beholder.batch.worker import Job
from beholder.errors import UserError
from beholder.scoring.engines import Checkpoint
from beholder.serve.lanes import Busy, Lanes
from beholder.serve.settings import Settings, read_key
from beholder.task import TASKS

USUAL = Settings(
    lanes=1, max_batch=8, max_wait_ms=5, queue=8, max_mb=1, max_pictures=4, max_pixels=10**6,
    timeout_s=30, request_s=60, drain_s=30,
)  # fmt: skip


@pytest.fixture
def batches() -> list[int]:
    return []


@pytest.fixture
def lanes(tiny: Path, tmp_path: Path, batches: list[int]) -> Iterator[Lanes]:
    """One lane that waits half a second for a batch of four, and gives a picture three seconds."""
    job = Job(Checkpoint(tiny), TASKS, max_pixels=200_000_000)
    made = Lanes(
        job, lanes=1, max_batch=4, max_wait_s=0.5, queue=6, timeout_s=3,
        on_batch=lambda n_pictures, seconds: batches.append(n_pictures),
    )  # fmt: skip
    made.start(tmp_path)
    yield made
    made.close()


def test_pictures_that_come_together_are_a_batch_and_a_full_batch_does_not_wait(
    lanes: Lanes, photos: list[Path], tiny: Path, batches: list[int]
) -> None:
    expected = beholder.load(tiny).score(photos)
    answers = lanes.submit(photos[:1]) + lanes.submit(photos[1:])
    scores = [answer.result(60) for answer in answers]
    assert [score.quality for score in scores] == pytest.approx([score.quality for score in expected])
    alone_s = time.monotonic()
    lanes.submit(photos[:1])[0].result(60)
    assert time.monotonic() - alone_s > 0.45  # it waited for company
    while len(batches) < 2:
        time.sleep(0.01)
    assert batches == [4, 1]


def test_all_of_a_request_has_room_or_none_of_it(lanes: Lanes, photos: list[Path]) -> None:
    first = lanes.submit(photos[:3])
    with pytest.raises(Busy) as refused:
        lanes.submit(photos)
    assert refused.value.retry_after_s >= 1
    assert lanes.n_waiting == 3
    assert [answer.result(60).status for answer in first] == ["ok"] * 3


def test_who_goes_away_makes_room(lanes: Lanes, photos: list[Path], batches: list[int]) -> None:
    given_up = lanes.submit(photos[:3])
    assert all(answer.cancel() for answer in given_up)
    [kept] = lanes.submit(photos[3:])
    assert kept.result(60).status == "ok"
    while not batches:
        time.sleep(0.01)
    assert batches == [1]


def test_a_picture_that_takes_too_long_is_stopped_and_the_next_is_scored(
    lanes: Lanes, photos: list[Path], tmp_path: Path
) -> None:
    pipe_like = tmp_path / "endless.ppm"
    with pipe_like.open("wb") as file:  # 190 megapixels of text numbers: minutes of decoding, and no memory to speak of
        file.write(b"P3 19000 10000 255\n" + b"7 7 7 " * 12_000_000)
    stuck, fine = lanes.submit([pipe_like, photos[0]])
    assert stuck.result(120).status == "timeout"
    assert fine.result(120).status == "ok"


def test_a_lane_whose_worker_is_gone_and_can_not_come_back_says_so_and_goes_on_once_it_can(
    tiny: Path, tmp_path: Path, photos: list[Path]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny, model)
    before = {child.pid for child in psutil.Process().children()}
    lanes = Lanes(Job(Checkpoint(model), TASKS, 10**6), lanes=1, max_batch=1, max_wait_s=0, queue=4, timeout_s=30)
    lanes.start(tmp_path)
    try:
        for child in psutil.Process().children():
            if child.pid not in before and "spawn_main" in " ".join(child.cmdline()):
                child.kill()
        (model / "tiny.onnx").rename(model / "elsewhere")
        with pytest.raises(UserError, match="is not there"):
            lanes.submit(photos[:1])[0].result(60)
        (model / "elsewhere").rename(model / "tiny.onnx")
        assert lanes.submit(photos[:1])[0].result(60).status == "ok"
    finally:
        lanes.close()


def test_a_model_that_can_not_be_loaded_is_told_at_the_start(tiny: Path, tmp_path: Path) -> None:
    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tiny.onnx").write_bytes(b"damaged")
    job = Job(Checkpoint(tmp_path), TASKS, max_pixels=10**6)
    lanes = Lanes(job, lanes=1, max_batch=1, max_wait_s=0, queue=1, timeout_s=3)
    with pytest.raises(UserError, match="is not the file its card describes"):
        lanes.start(tmp_path)
    lanes.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lanes": 0}, "--workers 0"),
        ({"max_mb": 0.0}, "--max-mb 0"),
        ({"max_wait_ms": -1}, "--max-wait-ms -1"),
        ({"max_pictures": 9}, "would never find room"),
        ({"request_s": 0.0}, "--request-timeout 0"),
    ],
)
def test_settings_out_of_range_name_the_option(change: dict[str, float], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        replace(USUAL, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["", "short", "two words of a sentence", "ключ" * 8])
def test_a_key_that_can_not_be_sent_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="can't be used"):
        read_key(tmp_path / "key")
