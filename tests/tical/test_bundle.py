from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from beholder.errors import UserError
from beholder.tical.bundle import read_bundle
from beholder.tical.inputs import Kind, missing


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
    assert "voice is (samples, 5) in row 4, and (samples, 2) in the first" in bundle.problems[4]
    assert "no array 'voice'" in bundle.problems[5]
    assert missing(bundle.x["voice"]).tolist() == [False, True, True, True, True, True]


def test_what_a_model_knows_decides_over_the_first_file(features: Path) -> None:
    np.save(features / "wide.npy", np.ones(5))
    table = write(features / "t.csv", {"voice_path": ["wide.npy", "v0.npy"], "text_path": ["", "gone.npy"]})
    bundle = read_bundle(table, kinds={"voice": Kind(2), "text": Kind(3, is_sequence=True)})
    assert sorted(bundle.problems) == [0, 1]
    assert "voice is (samples, 5) in row 0, and (samples, 2) for this model" in bundle.problems[0]
    assert (bundle.x["voice"].shape, bundle.x["text"].shape) == ((2, 2), (2, 1, 3))


def test_names_in_a_csv_stay_as_they_stand_there(features: Path) -> None:
    (features / "t.csv").write_text(
        "id,voice_path,label,group,label_voice,notes\n"
        '001,v0.npy,2020-01-01,1,,"two\nlines"\n'
        "12345678901234567891,v0.npy,2021-01-01,2,0.5,3\n",
        encoding="utf-8",
    )
    bundle = read_bundle(features / "t.csv")
    assert bundle.id.tolist() == ["001", "12345678901234567891"]
    (features / "ids.csv").write_text("id,voice_path\n7,v0.npy\n10,v0.npy\n", encoding="utf-8")
    assert read_bundle(features / "ids.csv").id.tolist() == [7, 10]
    (features / "ids.csv").write_text("id,voice_path\n+7,v0.npy\n10,v0.npy\n", encoding="utf-8")
    assert read_bundle(features / "ids.csv").id.tolist() == ["+7", "10"]
    (features / "ids.csv").write_text("id,voice_path\n12345678901234567890,v0.npy\n1,v0.npy\n", encoding="utf-8")
    assert read_bundle(features / "ids.csv").id.tolist() == ["12345678901234567890", "1"]
    assert bundle.label is not None
    assert bundle.label.tolist() == ["2020-01-01", "2021-01-01"]
    assert bundle.group is not None
    assert bundle.group.tolist() == [1, 2]
    assert np.isnan(bundle.unimodal["voice"]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("labels", "read"),
    [("0 1", [0, 1]), ("0.5 1", [0.5, 1]), ("01 02", ["01", "02"]), ("1 x", ["1", "x"]), ("sad ", ["sad", ""])],
)
def test_labels_in_a_csv_are_numbers_where_all_are(labels: str, read: list[object], features: Path) -> None:
    rows = "".join(f"v0.npy,{label}\n" for label in labels.split(" "))
    (features / "t.csv").write_text(f"voice_path,label\n{rows}", encoding="utf-8")
    bundle = read_bundle(features / "t.csv")
    assert bundle.label is not None
    assert bundle.label.tolist() == read


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"voice_path,label,label\nv0.npy,a,b\n", "has the column 'label' more than once"),
        (b"voice_path,id\nv0.npy,caf\xe9\n", "can't be read as a table"),
    ],
)
def test_a_csv_that_cannot_be_read_is_one_line(content: bytes, says: str, features: Path) -> None:
    (features / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=says):
        read_bundle(features / "t.csv")


def test_damaged_arrays_are_problems_or_one_line(features: Path) -> None:
    with zipfile.ZipFile(features / "sheet.npz", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    content = bytearray((features / "v1.npz").read_bytes())
    for i in range(30, len(content) - 60, 7):
        content[i] ^= 255
    (features / "damaged.npz").write_bytes(content)
    for name in ("sheet.npz", "damaged.npz", "v0.npy"):
        with pytest.raises(UserError, match=r"can't be read as \.npz"):
            read_bundle((features / name).rename(features / f"{name}.npz"))
        (features / f"{name}.npz").rename(features / name)
    bundle = read_bundle(write(features / "t.csv", {"voice_path": ["v0.npy", "sheet.npz", "damaged.npz"]}))
    assert sorted(bundle.problems) == [1, 2]


def test_facts_of_arrays_are_one_per_sample_and_bytes_are_text(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", voice=np.ones((2, 3)), label=np.array([b"sad", b"calm"]))
    label = read_bundle(tmp_path / "t.npz").label
    assert label is not None
    assert label.tolist() == ["sad", "calm"]
    np.savez(tmp_path / "t.npz", voice=np.ones((2, 3)), label=np.ones((2, 1)))
    with pytest.raises(UserError, match=r"'label' has shape \(2, 1\)"):
        read_bundle(tmp_path / "t.npz")
    np.savez(tmp_path / "t.npz", voice=np.ones((0, 3, 2)), voice_lengths=np.ones(0, int))
    with pytest.raises(UserError, match="has no samples"):
        read_bundle(tmp_path / "t.npz")


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
