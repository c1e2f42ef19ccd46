from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import RenderPicture
from rows_equal import assert_same_rows
from tiny_model import write_tiny_checkpoint

import beholder
from beholder.batch.rows import SCHEMA, path_from_text, path_text
from beholder.batch.summary import Progress
from beholder.errors import UserError
from beholder.imaging.open import open_image


def test_every_picture_of_a_nasty_folder_has_its_row_with_the_right_status(
    nasty_folder: tuple[Path, dict[str, str]], tiny: Path
) -> None:
    folder, expected = nasty_folder
    run = beholder.score(folder, model=tiny, workers=1)
    rows = run.table.to_pylist()
    assert {Path(path_from_text(row["path"])).name: row["status"] for row in rows} == expected
    assert run.table.schema == SCHEMA
    for row in rows:
        is_ok = row["status"] == "ok"
        assert (row["quality"] is not None) == is_ok
        assert (row["aesthetics_levels"] is not None) == is_ok
        assert (row["error"] is None) == is_ok
        assert row["model"] == "tiny"
        assert len(row["weights_sha256"]) == 64
    assert run.summary.n_total == len(expected)
    assert run.summary.n_failed == sum(status != "ok" for status in expected.values())


def test_rows_are_in_the_order_of_the_inputs(photos: Path, tiny: Path) -> None:
    paths = [str(path) for path in sorted(photos.iterdir(), reverse=True)]
    run = beholder.score(paths, model=tiny, workers=2, batch_size=1)
    assert run.table["path"].to_pylist() == paths


def test_scores_do_not_depend_on_batch_size_order_or_number_of_workers(photos: Path, tiny: Path) -> None:
    first = beholder.score(photos, model=tiny, workers=1, batch_size=1).table
    second = beholder.score(photos, model=tiny, workers=2, batch_size=5).table
    backwards = [str(path) for path in sorted(photos.iterdir(), reverse=True)]
    third = beholder.score(backwards, model=tiny, workers=2, batch_size=100).table
    assert_same_rows(second, first)
    assert_same_rows(third.take(np.arange(len(third))[::-1]), first)
    assert np.ptp(first["quality"].to_numpy()) > 1  # equal scores would prove nothing


def test_a_run_and_a_model_give_the_same_scores(photos: Path, tiny: Path) -> None:
    paths = sorted(photos.iterdir())
    scores = beholder.load(tiny).score(paths)
    rows = beholder.score(photos, model=tiny, workers=1).table.to_pylist()
    for score, row in zip(scores, rows, strict=True):
        assert row["quality"] == pytest.approx(score.quality, abs=1e-3)
        assert row["aesthetics_levels"] == pytest.approx(score.aesthetics_levels, abs=1e-5)
        assert (row["width"], row["height"]) == (score.width, score.height)


def test_one_task_leaves_the_other_column_empty(photos: Path, tiny: Path) -> None:
    rows = beholder.score(photos, model=tiny, task="quality", workers=1).table
    assert rows["aesthetics"].null_count == rows["aesthetics_levels"].null_count == len(rows)
    assert rows["quality"].null_count == 0


def test_sorting_puts_rows_without_a_score_last(photos: Path, tiny: Path, tmp_path: Path) -> None:
    inputs = ["missing.jpg", str(photos)]
    for sort, direction in (("quality", 1), ("-quality", -1)):
        in_memory = beholder.score(inputs, model=tiny, sort=sort, workers=1).table
        in_file = beholder.score(inputs, model=tiny, sort=sort, workers=1, out=tmp_path / f"{direction}.csv").table
        for rows in (in_memory, in_file):
            assert rows["path"].to_pylist()[-1] == "missing.jpg"
            assert (np.diff(rows["quality"].to_numpy()[:-1]) * direction >= 0).all()


def test_a_script_without_a_main_guard_runs_once(photos: Path, tiny: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import beholder\nprint('once')\nrun = beholder.score({str(photos)!r}, model={str(tiny)!r}, workers=2)\n"
        "print(run.summary.n_total)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split() == ["once", "12"]


def test_progress_counts_every_picture_and_names_the_finished_shard(photos: Path, tiny: Path) -> None:
    seen: list[Progress] = []
    beholder.score([photos, "missing.jpg"], model=tiny, workers=2, on_progress=seen.append)
    assert [progress.n_done for progress in seen if progress.shard is None] == list(range(14))
    assert seen[-1] == Progress(n_done=13, n_total=13, n_scored=13, n_failed=1, shard=0, n_shards=1)


def test_a_report_names_the_lowest_and_the_failed(photos: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = beholder.score([photos, "missing.jpg"], model=tiny, workers=1)
    run.report()
    text = capsys.readouterr().out
    lowest = run.table["path"].to_pylist()[int(np.nanargmin(run.table["quality"].to_numpy()))]
    assert lowest in text
    assert "missing.jpg: no such file" in text
    assert "13 pictures: 12 ok, 1 unreadable" in text


def test_memory_does_not_grow_with_the_number_of_pictures(crowd: Path, tiny: Path, tmp_path: Path) -> None:
    code = (
        "import resource, sys, beholder\n"
        "inputs, out = sys.argv[2:-1], sys.argv[-1]\n"
        "beholder.score(inputs, model=sys.argv[1], workers=1, out=out)\n"
        "print(*(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))\n"
    )

    def peaks(inputs: list[str]) -> np.ndarray:
        command = [sys.executable, "-c", code, str(tiny), *inputs, str(tmp_path / f"{len(inputs)}.parquet")]
        return np.array(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(), int)

    few, many = peaks([str(crowd / f"{i:05d}.jpg") for i in range(90)]), peaks([str(crowd)])
    assert (many < 1.1 * few).all(), f"parent and workers peak at {few} KB for 90 pictures, {many} KB for 1,751"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "--workers 0"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"timeout_s": 0.0}, "--timeout 0"),
        ({"sort": "size"}, "--sort size"),
        ({"task": "beauty"}, "beauty"),
        ({"model": "beholder-minni"}, "beholder-mini"),
        ({"resume": True}, "-o"),
        ({"out": "scores.xlsx"}, ".parquet, .csv, .jsonl"),
        ({"out": "no/such/folder/scores.csv"}, "no/such/folder"),
    ],
)
def test_a_wrong_option_is_named_before_any_work(
    options: dict[str, object], message: str, photos: Path, tiny: Path
) -> None:
    def fail(progress: Progress) -> None:
        raise AssertionError("a picture was scored")

    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        beholder.score(photos, **{"model": tiny, "on_progress": fail} | options)


def test_nothing_to_score_is_an_error(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to score"):
        beholder.score([], model=tiny)
    with pytest.raises(UserError, match="no pictures"):
        beholder.score(tmp_path, model=tiny)


def test_a_task_that_the_model_lacks_is_an_error(photos: Path, tmp_path: Path) -> None:
    quality_only = write_tiny_checkpoint(tmp_path / "model", tasks=["quality"])
    with pytest.raises(UserError, match="aesthetics"):
        beholder.score(photos, model=quality_only, task="aesthetics")
    assert beholder.score(photos, model=quality_only, workers=1).table["aesthetics"].null_count == 12


@pytest.mark.parametrize(
    "path", ["a.jpg", "Grüße 日本 🙂.jpg", "caf\udce9.jpg", "␛dce9.jpg", "a\\xff\n.jpg", "␛␛\udcff", "\ud800.jpg"]
)
def test_any_file_name_survives_the_table(path: str) -> None:
    text = path_text(path)
    assert path_from_text(text.encode("utf-8").decode("utf-8")) == path
    assert text == path or "␛" in text


def test_brackets_in_a_name_give_a_row_whether_the_file_is_there_or_not(
    photos: Path, tiny: Path, tmp_path: Path
) -> None:
    there, missing = tmp_path / "photo [1].jpg", tmp_path / "photo [2].jpg"
    shutil.copy(photos / "00.jpg", there)
    run = beholder.score([there, missing], model=tiny, workers=1)
    assert run.table["path"].to_pylist() == [str(there), str(missing)]
    assert run.table["status"].to_pylist() == ["ok", "unreadable"]


def test_damaged_metadata_causes_no_warnings_on_the_terminal(
    tiny: Path, render_picture: RenderPicture, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    render_picture(1, (80, 60)).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    with pytest.warns(UserWarning, match="EXIF"):
        open_image(tmp_path / "a.jpg")
    assert beholder.score(tmp_path, model=tiny, workers=1).summary.counts == {"ok": 1}
    assert capfd.readouterr().err == ""
