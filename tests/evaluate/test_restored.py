from __future__ import annotations

import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import render
from PIL import Image

from beholder.cli import main
from beholder.errors import UserError
from beholder.evaluate.learned import measure_learned
from beholder.evaluate.pyiqa_process import NOT_HERE
from beholder.evaluate.restoration import gmsd, lr_consistency, psnr, ssim
from beholder.evaluate.restored import evaluate_restoration
from beholder.evaluate.restored_compare import compare_restorations, mean_verdict
from beholder.evaluate.restored_pairs import Folders, match
from beholder.evaluate.restored_result import LEARNED, read_pictures, read_restoration

SIZE = (48, 40)
N = 12


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """True pictures, their quarters, and two restorations: `good` with little noise, `bad` with more."""
    rng = np.random.default_rng(0)
    for name in ("truth", "small", "good", "bad"):
        (tmp_path / name / "sea").mkdir(parents=True)
    for i in range(N):
        picture = render(i, SIZE)
        picture.save(tmp_path / f"truth/sea/{i}.png")
        picture.resize((SIZE[0] // 4, SIZE[1] // 4), Image.Resampling.BICUBIC).resize((36, 36)).save(
            tmp_path / f"small/sea/{i}x4.png"
        )
        for name, sigma in (("good", 2), ("bad", 12)):
            noisy = np.asarray(picture) + rng.normal(0, sigma, (SIZE[1], SIZE[0], 3))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{name}/sea/{i}_x4.png")
    return tmp_path


def measured(folders: Path, name: str, **options: object):
    out = folders / f"out-{name}"
    options = {"learned": False, "resamples": 200, "threads": 2} | options
    return evaluate_restoration(folders / name, folders / "truth", out=out, **options)


def rgb(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file))


def test_a_row_holds_the_numbers_of_its_picture_and_the_result_their_means(folders: Path) -> None:
    result = measured(folders, "good", border=3)
    rows = read_pictures(folders / "out-good").to_pylist()
    assert [row["path"] for row in rows] == sorted(f"sea/{i}.png" for i in range(N))
    for row in rows:
        one, true = rgb(folders / "good" / row["output"]), rgb(folders / "truth" / row["path"])
        assert row["psnr"] == psnr(one, true, border=3)
        assert row["ssim"] == ssim(one, true, border=3)
        assert row["gmsd"] == gmsd(one, true)
        assert (row["width"], row["height"], row["status"]) == (*SIZE, "ok")
    found = result.metrics["psnr"]
    assert found.value == pytest.approx(np.mean([row["psnr"] for row in rows]))
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert (result.n_total, result.n_measured, found.n) == (N, N, N)
    assert read_restoration(folders / "out-good") == result


def test_lr_consistency_needs_the_inputs_and_takes_them_by_name(folders: Path) -> None:
    assert "--input" in measured(folders, "good").skipped["lr_consistency"]
    measured(folders, "good", inputs=folders / "small")
    row = read_pictures(folders / "out-good").to_pylist()[0]
    small = rgb(folders / "small" / row["input"])
    assert row["lr_consistency"] == lr_consistency(rgb(folders / "good" / row["output"]), small)


def test_what_can_not_be_compared_is_a_row_with_the_reason(folders: Path) -> None:
    (folders / "good/sea/0_x4.png").unlink()
    render(1, (47, 40)).save(folders / "good/sea/1_x4.png")
    (folders / "good/sea/2_x4.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    render(1, (64, 64)).save(folders / "good/sea/nobody.png")
    result = measured(folders, "good")
    rows = {row["path"]: row for row in read_pictures(folders / "out-good").to_pylist()}
    assert [rows[f"sea/{i}.png"]["status"] for i in range(4)] == ["missing", "other_size", "unreadable", "ok"]
    assert "sea/1_x4.png has 47 x 40 pixels, the true picture 48 x 40" in rows["sea/1.png"]["error"]
    assert (result.n_measured, result.n_extra) == (N - 3, 1)
    assert result.failures == {"missing": 1, "other_size": 1, "unreadable": 1}
    assert result.metrics["psnr"].n == N - 3


def test_a_metric_that_a_picture_has_not_is_left_out_and_said(folders: Path) -> None:
    truth = folders / "truth/sea/0.png"
    (folders / "good/sea/0_x4.png").write_bytes(truth.read_bytes())
    result = measured(folders, "good")
    assert result.metrics["psnr"].n == N - 1
    assert f"1 of {N} pictures left out: no finite number" in str(result.metrics["psnr"].problem)
    assert result.metrics["ssim"].n == N
    assert result.metrics["ms_ssim"].value is None  # the pictures are smaller than its five scales
    assert "MS-SSIM needs sides of 176 px" in str(result.metrics["ms_ssim"].problem)


@pytest.mark.parametrize(
    ("true", "output"),
    [("a.png", "a_x4.png"), ("a.jpg", "a.jpg_x4.png"), ("a.png", "a.webp"), ("a_HR.png", "a_LR4_x4.png")],
)
def test_names_belong_together_whatever_scales_add(tmp_path: Path, true: str, output: str) -> None:
    for folder, name in (("truth", true), ("out", output)):
        (tmp_path / folder).mkdir()
        render(0, SIZE).save(tmp_path / folder / name)
    [trio], n_extra = match(Folders(tmp_path / "out", tmp_path / "truth", None))
    assert (trio.true, trio.output, n_extra) == (true, output, 0)


def test_two_outputs_for_one_picture_are_an_error(folders: Path) -> None:
    render(0, SIZE).save(folders / "good/sea/3_x2.png")
    with pytest.raises(UserError, match=r"several pictures in .*good belong to sea/3.png: sea/3_x2.png, sea/3_x4.png"):
        measured(folders, "good")


def test_folders_that_share_no_name_are_an_error(folders: Path) -> None:
    with pytest.raises(UserError, match="has the name of one in"):
        evaluate_restoration(folders / "good/sea", folders / "truth", out=folders / "out")


def test_the_better_folder_is_found_on_the_same_pictures(folders: Path) -> None:
    for name in ("good", "bad"):
        measured(folders, name, inputs=folders / "small")
    comparison = compare_restorations(folders / "out-good", folders / "out-bad", resamples=200)
    for name in ("psnr", "ssim", "gmsd"):
        assert mean_verdict(name, comparison.metrics[name]) == "A"
    tables = [read_pictures(folders / f"out-{name}")["psnr"].to_numpy() for name in ("good", "bad")]
    assert comparison.metrics["psnr"].value == pytest.approx(np.mean(tables[0] - tables[1]))
    render(99, SIZE).save(folders / "truth/sea/0.png")
    measured(folders, "bad")
    with pytest.raises(UserError, match="truth_sha256"):
        compare_restorations(folders / "out-good", folders / "out-bad")


def fake_python(folder: Path, answers: str) -> str:
    """A program that stands for a Python with pyiqa."""
    file = folder / "python"
    file.write_text(f"#!{sys.executable}\nimport sys, json\njob = json.load(sys.stdin)\n{answers}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


def test_learned_metrics_come_from_a_process_and_what_lacks_weights_is_skipped(folders: Path) -> None:
    lines = (
        'say = lambda **line: print(json.dumps(line))\nsay(about="pyiqa 9")\n'
        "for i, pair in enumerate(job['pairs']): say(metric='lpips', index=i, value=len(pair) + i / 100)\n"
        f"say(metric='musiq', skipped={NOT_HERE!r})\n"
        f"say(metric='dists', index=0, problem={NOT_HERE!r})\n"
        "import os\nsay(metric='fid', value=float(len(os.listdir(job['folders'][0]))))\n"
    )
    result = measured(folders, "good", learned=True, pyiqa_python=fake_python(folders, lines))
    assert result.metrics["lpips"].value == pytest.approx(2 + (N - 1) / 200)
    assert result.metrics["fid"].value == N
    assert result.skipped["musiq"] == result.skipped["dists"] == NOT_HERE
    assert result.skipped["maniqa"] == "pyiqa gave no number"
    assert result.versions["pyiqa"] == "pyiqa 9"
    assert read_pictures(folders / "out-good")["lpips"][0].as_py() == 2.0


def test_a_python_without_pyiqa_skips_all_of_it(folders: Path) -> None:
    pair = (folders / "good/sea/0_x4.png", folders / "truth/sea/0.png")
    found = measure_learned([pair], python=fake_python(folders, "print(json.dumps({'missing': 'x'}))"))
    assert found.skipped == dict.fromkeys(LEARNED, "pyiqa is not installed")
    died = measure_learned([pair], python=fake_python(folders, "sys.exit('no such thing')"))
    assert "exit code 1: no such thing" in died.skipped["fid"]
    with pytest.raises(UserError, match="--pyiqa-python"):
        measure_learned([pair], python=str(folders / "nothing"))


def test_the_command_prints_means_failures_and_what_was_skipped(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders / "good/sea/0_x4.png").unlink()
    options = ["--truth", "truth", "--input", "small", "--no-learned", "--resamples", "100"]
    for name in ("good", "bad"):
        words = [str(folders / word) if word in ("truth", "small") else word for word in options]
        arguments = ["evaluate", "restoration", str(folders / name), *words, "-o", str(folders / f"out-{name}")]
        assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert f"{N - 1} / {N} measured, 1 missing" in shown
    estimate = read_restoration(folders / "out-good").metrics["gmsd"]
    assert f"{estimate.value:.4f}  [{estimate.low:.4f}, {estimate.high:.4f}]" in shown
    assert "missing     sea/0.png: no picture in" in shown
    assert "skipped: LPIPS, DISTS, NIQE, MUSIQ, MANIQA, CLIPIQA, FID: not asked for" in shown
    assert main(["compare", str(folders / "out-good"), str(folders / "out-bad")]) == 0
    shown = capsys.readouterr().out
    assert "A = good, B = bad, beside truth" in shown
    assert "Note: 1 of 12 pictures failed in A" in shown
