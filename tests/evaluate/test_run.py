import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import beholder
from beholder.errors import UserError
from beholder.evaluate.correlation import rmse, srcc
from beholder.evaluate.result import read_predictions, read_result
from beholder.evaluate.run import evaluate
from beholder.task import ScoreRange

N = 60


@pytest.fixture
def rated():
    """Columns of 60 rows whose MOS (1 to 5) rises with the predictions (0 to 100), with noise."""
    rng = np.random.default_rng(0)
    pred = rng.uniform(0, 100, N)
    score = np.clip(1 + pred / 25 + rng.normal(0, 0.4, N), 1, 5)
    return {"path": [f"{i:03}.png" for i in range(N)], "score": score.tolist()}, pred


def write_predictions(file, paths, pred, **more):
    pq.write_table(pa.table({"path": list(paths), "quality": list(pred)} | more), file)
    return file


def test_pictures_go_through_the_pipeline_that_users_run(tmp_path, make_manifest, checkpoint, render_picture):
    names = [f"{i}.png" for i in range(12)]
    manifest = make_manifest(path=[*names, "broken.png", "gone.png"], score=np.linspace(1.1, 4.9, 14).tolist())
    for i, name in enumerate(names):
        render_picture(i, (64, 48)).save(manifest.image_root / name)
    (manifest.image_root / "broken.png").write_bytes(b"")
    result = evaluate(checkpoint, tmp_path / "set", out=tmp_path / "out", workers=1, resamples=50)

    assert (result.n_scored, result.n_total) == (12, 14)
    assert result.failures == {"unreadable": 2}
    predictions = read_predictions(tmp_path / "out")
    model = beholder.load(checkpoint)
    expected = [model.score(manifest.image_root / name, task="quality").quality for name in names]
    assert predictions["pred"].to_pylist()[:12] == pytest.approx(expected, abs=1e-3)
    assert predictions["pred"].to_pylist()[12:] == [None, None]
    assert all(predictions["error"].to_pylist()[12:])
    assert predictions["path"].to_pylist() == manifest.column("path")
    assert result.metrics["srcc"].value == pytest.approx(srcc(expected, manifest.scores()[:12]))
    assert result.model == model.card.name
    assert result.weights_sha256 == model.card.weights_sha256
    assert result.manifest_sha256 == manifest.sha256
    assert read_result(tmp_path / "out") == result


def test_the_predictions_of_another_tool_are_judged_alike(tmp_path, make_manifest, rated):
    columns, pred = rated
    manifest = make_manifest(**columns)
    file = write_predictions(tmp_path / "niqe.parquet", columns["path"][::-1], pred[::-1])
    result = evaluate(file, manifest, out=tmp_path / "out", resamples=100)
    assert result.model == "niqe"
    assert result.weights_sha256 is None
    assert result.metrics["srcc"].value == srcc(pred, columns["score"])
    assert result.metrics["rmse"].value == pytest.approx(rmse(pred, columns["score"]))
    assert result.metrics["srcc"].low < result.metrics["srcc"].value < result.metrics["srcc"].high


def test_absolute_paths_and_csv_files_are_matched_too(tmp_path, make_manifest, rated):
    columns, pred = rated
    manifest = make_manifest(**columns)
    lines = [f"{path},{value!r}" for path, value in zip(map(str, manifest.paths()), pred.tolist(), strict=True)]
    (tmp_path / "niqe.csv").write_text("\n".join(["path,quality", *lines]))
    result = evaluate(tmp_path / "niqe.csv", manifest, out=tmp_path / "out", resamples=100)
    assert result.metrics["srcc"].value == srcc(pred, columns["score"])


def test_what_beholder_score_wrote_can_be_evaluated(tmp_path, make_manifest, checkpoint, render_picture):
    names = [f"{i}.png" for i in range(10)]
    manifest = make_manifest(path=names, score=np.linspace(1, 5, 10).tolist())
    for i, name in enumerate(names):
        render_picture(i, (64, 48)).save(manifest.image_root / name)
    (manifest.image_root / names[3]).write_bytes(b"not a picture")
    run = beholder.score(manifest.image_root, model=checkpoint, out=tmp_path / "scores.parquet", workers=1)
    from_file = evaluate(tmp_path / "scores.parquet", manifest, out=tmp_path / "a", resamples=50)
    direct = evaluate(checkpoint, manifest, out=tmp_path / "b", workers=1, resamples=50)
    assert from_file.metrics == direct.metrics
    assert from_file.failures == direct.failures == {"unsupported": 1}
    assert from_file.weights_sha256 == run.card.weights_sha256


def test_dmos_is_mirrored_and_keeps_its_unit(tmp_path, make_manifest, rated):
    columns, pred = rated
    mos = np.array(columns["score"])
    dmos = make_manifest(
        path=columns["path"], score=(6 - mos).tolist(), score_range=ScoreRange(1, 5, higher_is_better=False)
    )
    file = write_predictions(tmp_path / "m.parquet", columns["path"], pred)
    result = evaluate(file, dmos, out=tmp_path / "out", resamples=100)
    assert result.metrics["srcc"].value == pytest.approx(srcc(pred, mos))
    assert result.metrics["rmse"].value == pytest.approx(rmse(pred, mos), rel=1e-6)
    assert read_predictions(tmp_path / "out")["mos"].to_pylist() == pytest.approx((6 - mos).tolist())


def test_a_falling_metric_is_negative_until_it_is_declared(tmp_path, make_manifest, rated):
    columns, pred = rated
    manifest = make_manifest(**columns)
    file = write_predictions(tmp_path / "niqe.parquet", columns["path"], 100 - pred)
    undeclared = evaluate(file, manifest, out=tmp_path / "a", resamples=100)
    assert undeclared.metrics["srcc"].high < 0
    assert undeclared.metrics["plcc_logistic4"].value is None
    assert "logistic fit failed" in undeclared.metrics["plcc_logistic4"].problem
    declared = evaluate(file, manifest, out=tmp_path / "b", lower_is_better=True, resamples=100)
    assert declared.metrics["srcc"].value == pytest.approx(-undeclared.metrics["srcc"].value)
    assert declared.metrics["rmse"].value == pytest.approx(rmse(pred, columns["score"]), rel=1e-6)
    assert not declared.pred_higher_is_better


@pytest.mark.parametrize("lower_is_better", [False, True])
def test_failures_count_in_a_second_number(tmp_path, make_manifest, rated, lower_is_better):
    columns, pred = rated
    manifest = make_manifest(**columns)
    pred = -pred if lower_is_better else pred
    values = pred.tolist()
    values[0], values[1] = None, math.nan
    status = ["ok"] * N
    status[2] = "timeout"
    keep = slice(0, N - 1)
    file = write_predictions(tmp_path / "m.parquet", columns["path"][keep], values[keep], status=status[keep])
    result = evaluate(file, manifest, out=tmp_path / "out", lower_is_better=lower_is_better, resamples=100)
    assert (result.n_scored, result.n_total) == (N - 4, N)
    assert result.failures == {"no_score": 2, "timeout": 1, "missing": 1}
    sign = -1 if lower_is_better else 1
    scored = slice(3, N - 1)
    assert result.metrics["srcc"].value == pytest.approx(srcc(sign * pred[scored], columns["score"][scored]))
    assert result.fill == pytest.approx(pred[scored].mean())
    filled = np.concatenate([[result.fill] * 3, pred[scored], [result.fill]])
    assert result.metrics_filled["srcc"].value == pytest.approx(srcc(sign * filled, columns["score"]))


def test_without_failures_there_is_no_second_number(tmp_path, make_manifest, rated):
    columns, pred = rated
    file = write_predictions(tmp_path / "m.parquet", columns["path"], pred)
    result = evaluate(file, make_manifest(**columns), out=tmp_path / "out", resamples=50)
    assert result.failures == {}
    assert result.metrics_filled == {}


def test_every_value_of_a_column_gets_its_own_numbers(tmp_path, make_manifest, rated):
    columns, pred = rated
    subset = ["night", "day", ""] * (N // 3)
    manifest = make_manifest(**columns, subset=subset)
    file = write_predictions(tmp_path / "m.parquet", columns["path"], pred)
    result = evaluate(file, manifest, by="subset", out=tmp_path / "out", resamples=50)
    assert list(result.by) == ["(none)", "day", "night"]
    assert sum(part.n_total for part in result.by.values()) == N
    assert result.by["night"].metrics["srcc"].value == srcc(pred[::3], columns["score"][::3])
    assert read_predictions(tmp_path / "out")["by"].to_pylist()[:3] == ["night", "day", "(none)"]


def test_groups_are_resampled_whole_where_the_set_was_split_by_group(tmp_path, make_manifest, rated):
    columns, pred = rated
    columns |= {"group": [f"scene {i // 5}" for i in range(N)]}
    file = write_predictions(tmp_path / "m.parquet", columns["path"], pred)
    by_scene = evaluate(file, make_manifest(**columns, split_by="scene"), out=tmp_path / "a", resamples=100)
    by_row = evaluate(file, make_manifest(**columns, split_by="row"), out=tmp_path / "b", resamples=100)
    assert by_scene.n_groups == 12
    assert by_row.n_groups is None
    assert by_scene.metrics["srcc"].value == by_row.metrics["srcc"].value
    assert by_scene.metrics["srcc"].low != by_row.metrics["srcc"].low
    assert read_predictions(tmp_path / "a")["group"].to_pylist() == columns["group"]


def test_a_split_must_be_named_where_there_are_several(tmp_path, make_manifest, rated):
    columns, pred = rated
    manifest = make_manifest(**columns, split=["train"] * 20 + ["test"] * 40)
    file = write_predictions(tmp_path / "m.parquet", columns["path"], pred)
    with pytest.raises(UserError, match=r"train \(20\), test \(40\).*--split test"):
        evaluate(file, manifest, out=tmp_path / "out")
    with pytest.raises(UserError, match="no split 'val'"):
        evaluate(file, manifest, out=tmp_path / "out", split="val")
    test = evaluate(file, manifest, out=tmp_path / "out", split="test", resamples=50)
    everything = evaluate(file, manifest, out=tmp_path / "out", split="all", resamples=50)
    assert (test.n_total, everything.n_total) == (40, 60)
    assert test.manifest_sha256 == everything.manifest_sha256 == manifest.sha256


def test_nothing_scored_is_a_result_that_says_so(tmp_path, make_manifest, rated):
    columns, _ = rated
    file = write_predictions(tmp_path / "m.parquet", columns["path"], pa.array([None] * N, pa.float64()))
    result = evaluate(file, make_manifest(**columns), out=tmp_path / "out", resamples=50)
    assert result.n_scored == 0
    assert result.metrics["srcc"].problem == "n = 0; at least 2 rows are needed"
    assert result.fill is None


def test_the_same_arguments_write_the_same_files(tmp_path, make_manifest, rated):
    columns, pred = rated
    manifest = make_manifest(**columns)
    file = write_predictions(tmp_path / "m.parquet", columns["path"], pred)
    for name in ("a", "b"):
        evaluate(file, manifest, out=tmp_path / name, resamples=50)
    for name in ("result.json", "predictions.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert str(tmp_path) not in json.dumps(json.loads((tmp_path / "a" / "result.json").read_text()))


def test_bad_arguments_say_what_to_try(tmp_path, make_manifest, rated):
    columns, pred = rated
    manifest = make_manifest(**columns)
    paths = columns["path"]

    def failing(message, *, model=None, table=None, **options):
        if table is not None:
            model = tmp_path / "m.parquet"
            pq.write_table(pa.table(table), model)
        with pytest.raises(ValueError, match=message):
            evaluate(model, manifest, out=tmp_path / "out", **options)
        assert not (tmp_path / "out").exists()

    failing("no column 'quality'; it has path, niqe", table={"path": paths, "niqe": pred})
    failing("2 rows for '000.png'", table={"path": ["000.png", *paths[:-1]], "quality": pred})
    failing("none of the 60 pictures.*'000.png', the file like 'x/000.png'", table={
        "path": [f"x/{path}" for path in paths], "quality": pred})  # fmt: skip
    failing("prediction 'high'.*is text", table={"path": paths, "quality": ["high"] * N})
    failing("declares its own direction", model="beholder-mini", lower_is_better=True)
    failing("does not exist", model=tmp_path / "gone.parquet")
    failing("unknown column .subst.", model=tmp_path / "m.parquet", by="subst")
