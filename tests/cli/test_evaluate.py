import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_model import write_tiny_checkpoint

from beholder.cli import main
from beholder.data.columns import make_table
from beholder.data.manifest import Manifest, write_manifest
from beholder.evaluate.result import read_result
from beholder.task import ScoreRange

N = 40


@pytest.fixture
def folder(tmp_path):
    """A manifest in `set/` and the predictions of a good and of a bad model beside it."""
    rng = np.random.default_rng(0)
    score = rng.uniform(1, 5, N)
    paths = [f"{i}.png" for i in range(N)]
    columns = {"path": paths, "score": score, "split": ["test"] * N, "subset": ["night", "day"] * (N // 2)}
    declared = ScoreRange(1, 5)
    table = make_table(columns, declared, lambda row: f"row {row + 1}")
    root = (tmp_path / "set").resolve()
    write_manifest(Manifest("toy", "quality", declared, "row", "own work", "rendered", root, table), root)
    for name, noise in (("good", 0.2), ("bad", 3.0)):
        pred = score + rng.normal(0, noise, N)
        pq.write_table(pa.table({"path": paths, "quality": pred.tolist()}), tmp_path / f"{name}.parquet")
    return tmp_path


def evaluated(folder, name, *options):
    out = folder / f"out-{name}"
    arguments = ["evaluate", folder / f"{name}.parquet", folder / "set", "-o", out, "--resamples", "100", *options]
    assert main([str(each) for each in arguments]) == 0
    return out


def test_evaluate_prints_every_metric_with_its_interval(folder, capsys):
    out = evaluated(folder, "good", "--by", "subset")
    shown = capsys.readouterr().out
    assert "good on toy:test (quality)" in shown
    result = read_result(out)
    for estimate in result.metrics.values():
        assert f"{estimate.value:.3f}  [{estimate.low:.3f}, {estimate.high:.3f}]" in shown
    for name, part in result.by.items():
        srcc = part.metrics["srcc"]
        [line] = [line for line in shown.splitlines() if line.startswith(f"{name} ")]
        assert f"20 / 20  {srcc.value:.3f} [{srcc.low:.3f}, {srcc.high:.3f}]" in line
    assert "40 / 40 scored" in shown
    assert str(out / "result.json") in shown


def test_evaluate_says_what_failed_and_why(folder, capsys):
    table = pq.read_table(folder / "good.parquet")
    pq.write_table(table.slice(3), folder / "good.parquet")
    evaluated(folder, "good", "--lower-is-better")
    shown = capsys.readouterr().out
    assert "37 / 40 scored, 3 missing" in shown
    assert "SRCC, failures set to the mean" in shown
    assert "PLCC (logistic), RMSE, MAE: logistic fit failed: the best rising curve is flat" in shown
    assert "Predictions change sign" in shown


def test_evaluate_scores_pictures_with_a_model(folder, capsys, render_picture):
    checkpoint = write_tiny_checkpoint(folder / "model")
    for i in range(N - 1):
        render_picture(i, (40, 40)).save(folder / "set" / f"{i}.png")
    arguments = ["evaluate", checkpoint, folder / "set", "-o", folder / "out", "--workers", "1", "--resamples", "100"]
    assert main([str(each) for each in arguments]) == 0
    assert "39 / 40 scored, 1 unreadable" in capsys.readouterr().out
    assert (folder / "out" / "predictions.parquet").is_file()


def test_nothing_scored_is_exit_code_1(folder, capsys):
    paths = pq.read_table(folder / "good.parquet")["path"]
    pq.write_table(pa.table({"path": paths, "quality": pa.nulls(N, pa.float64())}), folder / "none.parquet")
    arguments = ["evaluate", folder / "none.parquet", folder / "set", "-o", folder / "out", "--resamples", "100"]
    assert main([str(each) for each in arguments]) == 1
    assert "0 / 40 scored, 40 no_score" in capsys.readouterr().out


def test_compare_names_the_better_model(folder, capsys):
    good, bad = evaluated(folder, "good", "--by", "subset"), evaluated(folder, "bad", "--by", "subset")
    capsys.readouterr()
    assert main(["compare", str(good), str(bad), "--resamples", "100", "-o", str(folder / "ab.json")]) == 0
    shown = capsys.readouterr().out
    assert "A (good) orders these pictures better: SRCC differs by +" in shown
    assert "subset night" in shown
    assert (folder / "ab.json").is_file()
    assert main(["compare", str(bad), str(good), "--resamples", "100"]) == 0
    assert "B (good) orders these pictures better: SRCC differs by -" in capsys.readouterr().out


def test_compare_says_when_the_data_cannot_tell(folder, capsys):
    good = evaluated(folder, "good")
    capsys.readouterr()
    assert main(["compare", str(good), str(good), "--resamples", "100"]) == 0
    assert "The data cannot tell A and B apart: SRCC differs by +0.0000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "good.parquet", "set", "--by", "subst"], "Did you mean 'subset'?"),
        (["evaluate", "good.parquet", "set", "--split", "val"], "has no split 'val'"),
        (["evaluate", "nowhere.parquet", "set"], "nowhere.parquet does not exist"),
        (["evaluate", "no-such-model", "set"], "no model named 'no-such-model'"),
        (["compare", "nowhere", "nowhere"], "does not exist. Make it with `beholder evaluate"),
    ],
)
def test_a_mistake_is_one_line(folder, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_without_a_folder_the_result_is_named_after_what_was_asked(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for manifest in ("set", "set/manifest.csv"):
        assert main(["evaluate", "good.parquet", manifest, "--split", "test", "--resamples", "100"]) == 0
    assert [path.name for path in (folder / "results").iterdir()] == ["good-set-test"]
