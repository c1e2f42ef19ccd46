from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from beholder.errors import UserError
from beholder.tical.bundle import read_bundle
from beholder.tical.inputs import missing


def write(file: Path, columns: dict[str, list[object]]) -> Path:
    table = pa.table(columns)
    pyarrow.csv.write_csv(table, file) if file.suffix == ".csv" else pq.write_table(table, file)
    return file


@pytest.fixture
def features(tmp_path: Path) -> Path:
    np.save(tmp_path / "v0.npy", np.array([1.0, 2.0]))
    np.savez(tmp_path / "v1.npz", whatever=np.array([3, 4]))
    np.savez(tmp_path / "t0.npz", text=np.ones((2, 3)), other=np.zeros(1))
    np.save(tmp_path / "t2.npy", np.full((4, 3), 2.0))
    return tmp_path


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_cells_name_files_beside_the_table(name: str, features: Path) -> None:
    columns: dict[str, list[object]] = {
        "id": ["a", "b", "c"],
        "voice_path": ["v0.npy", "v1.npz", ""],
        "text_path": ["t0.npz", "", "t2.npy"],
        "label": ["sad", "calm", "sad"],
        "group": [1, 1, 2],
        "split": ["train", "train", "test"],
        "label_voice": [0.5, 1.0, -1.0],
        "words": ["x", "y", "z"],
    }
    bundle = read_bundle(write(features / name, columns))
    assert bundle.x["voice"][:2].tolist() == [[1, 2], [3, 4]]
    assert missing(bundle.x["voice"]).tolist() == [False, False, True]
    assert bundle.x["text"].shape == (3, 4, 3)
    assert np.isnan(bundle.x["text"][0, 2:]).all()
    assert missing(bundle.x["text"]).tolist() == [False, True, False]
    assert (bundle.id.tolist(), bundle.group.tolist()) == (["a", "b", "c"], [1, 1, 2])  # type: ignore[union-attr]
    assert bundle.unimodal["voice"].tolist() == [0.5, 1.0, -1.0]
    assert bundle.problems == {}
    test = bundle.part("test")
    assert (test.id.tolist(), test.x["text"].shape) == (["c"], (1, 4, 3))


def test_a_file_that_cannot_be_read_is_kept_as_a_problem_of_its_row(features: Path) -> None:
    (features / "broken.npy").write_bytes(b"\x93NUMPY")
    np.save(features / "object.npy", np.array([{}]), allow_pickle=True)
    np.save(features / "wide.npy", np.ones(5))
    paths: list[object] = ["v0.npy", "gone.npy", "broken.npy", "object.npy", "wide.npy", "t0.npz"]
    bundle = read_bundle(write(features / "t.csv", {"voice_path": paths}))
    assert sorted(bundle.problems) == [1, 2, 3, 4, 5]
    assert "gone.npy" in bundle.problems[1]
    assert "shape (5,) in row 4" in bundle.problems[4]
    assert "no array 'voice'" in bundle.problems[5]
    assert missing(bundle.x["voice"]).tolist() == [False, True, True, True, True, True]


def test_a_bundle_of_sequences_has_their_lengths(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "t.npz",
        text=np.ones((2, 3, 4)),
        text_lengths=np.array([2, 0]),
        label_text=np.array([1.0, 2.0]),
        face=np.ones((2, 5)),
        split=np.array(["train", "test"]),
    )
    bundle = read_bundle(tmp_path / "t.npz")
    assert set(bundle.x) == {"text", "face"}
    assert np.isnan(bundle.x["text"][0]).any(axis=1).tolist() == [False, False, True]
    assert missing(bundle.x["text"]).tolist() == [False, True]
    assert bundle.unimodal["text"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"id": ["a"]}, "no column that ends in _path; its columns are id"),
        ({"voice_path": ["gone.npy"]}, "no file of 'voice' could be read: .*gone.npy"),
        ({"voice_path": ["v0.npy", "v0.npy"], "group": [1, None]}, "'group' is empty in row 1"),
    ],
)
def test_a_table_that_cannot_be_used_is_explained(columns: dict[str, list[object]], says: str, features: Path) -> None:
    with pytest.raises(UserError, match=says):
        read_bundle(write(features / "t.parquet", columns))


def test_a_split_that_is_not_there_is_named(features: Path) -> None:
    table = {"voice_path": ["v0.npy"], "split": ["train"]}
    with pytest.raises(UserError, match="no sample is of split 'test'; there are train"):
        read_bundle(write(features / "t.parquet", table)).part("test")
