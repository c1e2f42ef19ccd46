import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beholder.errors import UserError
from beholder.evaluate.bootstrap import METRICS, paired_bootstrap
from beholder.evaluate.compare import Comparison, compare, verdict
from beholder.evaluate.run import evaluate

N = 120


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    return {
        "path": [f"{i:03}.png" for i in range(N)],
        "score": rng.uniform(1, 5, N).tolist(),
        "subset": ["day", "night"] * (N // 2),
    }


@pytest.fixture
def stored(tmp_path, make_manifest, columns):
    """`stored(name, noise)` evaluates a model whose errors have that spread; gives the folder and the predictions."""

    def store(name, noise, failed=(), **options):
        rng = np.random.default_rng(sum(name.encode()))
        pred = 25 * (np.array(columns["score"]) - 1) + rng.normal(0, noise, N)
        values = [None if i in failed else value for i, value in enumerate(pred.tolist())]
        file = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"path": columns["path"], "quality": values}), file)
        manifest = options.pop("manifest", None) or make_manifest(**columns)
        evaluate(file, manifest, out=tmp_path / name, resamples=10, **options)
        return tmp_path / name, pred

    return store


def test_the_better_model_is_named_whichever_comes_first(stored):
    (good, _), (bad, _) = stored("good", 10), stored("bad", 40)
    for a, b, better in ((good, bad, "A"), (bad, good, "B")):
        comparison = compare(a, b, resamples=100)
        assert {verdict(name, comparison.overall.metrics[name]) for name in METRICS} == {better}
        assert (comparison.a, comparison.b) == (a.name, b.name)


def test_equal_models_cannot_be_told_apart(stored):
    (one, _), (other, _) = stored("one", 30), stored("other", 30)
    comparison = compare(one, other, resamples=100)
    assert verdict("srcc", comparison.overall.metrics["srcc"]) == "cannot tell"
    assert comparison.notes == ()
    assert comparison.filled is None


def test_the_stored_files_give_what_the_arrays_give(stored, columns):
    (a, pred_a), (b, pred_b) = stored("a", 10), stored("b", 20)
    expected = paired_bootstrap(pred_a, pred_b, columns["score"], resamples=100, seed=3)
    assert compare(a, b, resamples=100, seed=3).overall.metrics == expected


def test_every_value_of_the_by_column_is_compared(stored, columns):
    (a, pred_a), (b, pred_b) = stored("a", 10, by="subset"), stored("b", 20, by="subset")
    comparison = compare(a, b, resamples=100)
    assert list(comparison.by) == ["day", "night"]
    expected = paired_bootstrap(pred_a[1::2], pred_b[1::2], columns["score"][1::2], resamples=100)
    assert comparison.by["night"].metrics == expected


def test_different_by_columns_are_said_and_left_out(stored):
    (a, _), (b, _) = stored("a", 10, by="subset"), stored("b", 20)
    comparison = compare(a, b, resamples=100)
    assert comparison.by == {}
    assert comparison.notes == ("no parts: A has --by subset, B has --by None",)


def test_failed_rows_are_left_out_with_a_note_and_filled_in_a_second_number(stored):
    (a, _), (b, _) = stored("a", 10, failed={0, 1, 2}), stored("b", 10, failed={2, 3})
    comparison = compare(a, b, resamples=100)
    assert comparison.overall.n == N - 4
    assert comparison.filled.n == N
    [note] = comparison.notes
    assert "4 of 120 pictures are left out: 2 failed only in A, 1 only in B, 1 in both" in note


def test_directions_are_those_that_each_result_declares(tmp_path, stored, columns):
    a, pred = stored("a", 10)
    file = tmp_path / "falling.parquet"
    pq.write_table(pa.table({"path": columns["path"], "quality": (-pred).tolist()}), file)
    evaluate(file, tmp_path / "set", out=tmp_path / "falling", lower_is_better=True, resamples=50)
    same = compare(a, tmp_path / "falling", resamples=50).overall.metrics["srcc"]
    assert same.value == same.low == same.high == 0


def test_groups_are_compared_as_groups(stored, columns):
    columns["group"] = [f"scene {i // 4}" for i in range(N)]
    options = {"split_by": "scene"}
    (a, pred_a), (b, pred_b) = (stored(name, 20, manifest=None) for name in ("a", "b"))
    assert compare(a, b, resamples=50).overall.n_groups is None
    columns |= options
    (a, _), (b, _) = stored("a", 20), stored("b", 20)
    comparison = compare(a, b, resamples=50)
    assert comparison.overall.n_groups == N // 4
    expected = paired_bootstrap(pred_a, pred_b, columns["score"], groups=columns["group"], resamples=50)
    assert comparison.overall.metrics == expected


def test_different_manifests_are_refused(stored, columns):
    a, _ = stored("a", 10)
    columns["score"][0] = 6 - columns["score"][0]
    b, _ = stored("b", 10)
    with pytest.raises(UserError, match="not about the same pictures: manifest_sha256"):
        compare(a, b)


def test_different_splits_are_refused(stored, columns):
    columns["split"] = ["val"] * 60 + ["test"] * 60
    (a, _), (b, _) = stored("a", 10, split="val"), stored("b", 10, split="test")
    with pytest.raises(UserError, match="split is val in A"):
        compare(a, b)


@pytest.mark.parametrize("column", ["group", "subset"])
def test_groups_or_parts_that_changed_in_between_are_refused(stored, columns, column):
    """They are not in the manifest's hash."""
    columns |= {"group": ["x", "y"] * (N // 2), "split_by": "group"}
    a, _ = stored("a", 10, by="subset")
    columns[column] = columns[column][::-1]
    b, _ = stored("b", 10, by="subset")
    with pytest.raises(UserError, match="is not the same in A and B"):
        compare(a, b)


def test_a_comparison_is_a_file_too(tmp_path, stored):
    (a, _), (b, _) = stored("a", 10, failed={0}), stored("b", 20)
    comparison = compare(a, b, resamples=50)
    comparison.write(tmp_path / "ab.json")
    assert Comparison.model_validate_json((tmp_path / "ab.json").read_text()) == comparison
