import pyarrow as pa
import pytest

from beholder.errors import UserError
from beholder.evaluate.bootstrap import bootstrap
from beholder.evaluate.result import PREDICTIONS, Result, read_predictions, read_result
from beholder.task import ScoreRange


@pytest.fixture
def result():
    return Result(
        model="toy",
        weights_sha256="0" * 64,
        task="quality",
        manifest="set",
        manifest_sha256="1" * 64,
        split="test",
        mos_range=ScoreRange(1, 5),
        pred_higher_is_better=True,
        fill=50.0,
        by_column=None,
        by={},
        resamples=10,
        seed=0,
        versions={"beholder": "0"},
        n_total=12,
        n_scored=12,
        n_groups=None,
        failures={},
        metrics=bootstrap(range(12), range(12, 0, -1), resamples=10),
        metrics_filled={},
    )


@pytest.fixture
def predictions():
    rows = [{"path": f"{i}.png", "mos": 12.0 - i, "pred": float(i), "status": "ok"} for i in range(12)]
    return pa.Table.from_pylist(rows, schema=PREDICTIONS)


def test_what_is_written_is_read_back(tmp_path, result, predictions):
    written = result.write(tmp_path / "deep" / "out", predictions)
    assert read_result(tmp_path / "deep" / "out") == written
    assert read_result(tmp_path / "deep" / "out" / "result.json") == written
    assert read_predictions(tmp_path / "deep" / "out").equals(predictions)
    assert written.metrics["plcc_logistic4"].value is None, "a failed fit stays a failed fit in the file"


def test_a_write_that_fails_leaves_the_old_result_whole(tmp_path, result, predictions):
    before = result.write(tmp_path, predictions)
    with pytest.raises((ValueError, KeyError)):
        result.model_copy(update={"model": "new"}).write(tmp_path, predictions.drop_columns(["status"]))
    assert read_result(tmp_path) == before
    assert read_predictions(tmp_path).equals(predictions)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predictions.parquet", "result.json"]


def test_files_that_do_not_belong_together_are_noticed(tmp_path, result, predictions):
    result.write(tmp_path / "a", predictions)
    result.write(tmp_path / "b", predictions.slice(1))
    (tmp_path / "b" / "predictions.parquet").replace(tmp_path / "a" / "predictions.parquet")
    with pytest.raises(UserError, match=r"not the file that result\.json was made from"):
        read_predictions(tmp_path / "a")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"n_total": 12', '"n_total": 12, "extra": 1', "extra: Extra inputs"),
        ('"n_total": 12', '"n_total": "12"', "n_total: Input should be a valid integer"),
        ('"task": "quality"', '"task": "beauty"', "task: Input should be 'quality'"),
        ('"value": -1.0', '"value": NaN', "metrics.srcc.value"),
        ("{", "", "the file: Invalid JSON"),
    ],
)
def test_a_damaged_result_is_refused_with_the_place(tmp_path, result, predictions, old, new, message):
    result.write(tmp_path, predictions)
    file = tmp_path / "result.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        read_result(tmp_path)


def test_a_missing_result_says_how_to_make_it(tmp_path):
    with pytest.raises(UserError, match="beholder evaluate MODEL MANIFEST -o"):
        read_result(tmp_path / "nowhere")
