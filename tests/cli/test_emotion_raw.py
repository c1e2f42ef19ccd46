from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from beholder.cli import main

pytest.importorskip("geoopt", reason="needs the extra emotion")
pytest.importorskip("skimage", reason="needs the extra emotion")

from rendered_clips import draw_face, sing, write_clips, write_wav

import beholder
from beholder.tical.folder import load

EXTRACT = [
    *("--extract", "voice=logmel_stats"),
    *("--extract", "face=hog_pca:components=16"),
    *("--extract", "text=tfidf_svd:components=12"),
]
N = 120


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 clips, the last 30 of them split `test`."""
    folder = tmp_path_factory.mktemp("clips")
    columns = write_clips(folder, N)
    columns["split"] = ["train"] * (N - 30) + ["test"] * 30
    pyarrow.csv.write_csv(pa.table(columns), folder / "clips.csv")
    return folder / "clips.csv"


@pytest.fixture(scope="module")
def model(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "m"
    assert main(["emotion", "fit", str(table), "-o", str(folder), *EXTRACT]) == 0
    return folder


def test_a_model_of_raw_files_tells_new_clips_apart_without_a_flag(model: Path, table: Path, tmp_path: Path) -> None:
    result = tmp_path / "r.json"
    assert main(["emotion", "evaluate", str(model), str(table), "-o", str(result)]) == 0
    measured = json.loads(result.read_text())
    assert measured["total"] == 30
    assert measured["wa"]["value"] > 0.85  # a third by chance
    rows = beholder.recognize(table, model=model)
    test = np.arange(N) >= N - 30
    label = np.array(pyarrow.csv.read_csv(table)["label"].to_pylist())
    for m in ("voice", "face", "text"):
        alone = beholder.recognize(model=model, **{m: _column(table, m)})["pred"].to_pylist()
        assert (np.array(alone) == label)[test].mean() > 0.6, m
    assert rows["status"].to_pylist() == ["ok"] * N


def test_one_clip_in_one_line_says_what_the_table_says(model: Path, table: Path) -> None:
    rows = beholder.recognize(table, model=model).to_pylist()
    first = pyarrow.csv.read_csv(table).to_pylist()[0]
    one = beholder.recognize(
        voice=table.parent / first["voice_file"],
        face=str(table.parent / first["face_file"]),
        text=first["text"],
        model=str(model),
    ).to_pylist()[0]
    assert one["pred"] == rows[0]["pred"]
    np.testing.assert_allclose(one["confidence"], rows[0]["confidence"], atol=1e-5)


def test_a_clip_that_fails_keeps_its_row(model: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    draw_face("happy", rng).save(tmp_path / "good.png")
    write_wav(tmp_path / "good.wav", sing("happy", rng))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    write_wav(tmp_path / "short.wav", np.zeros(9))
    columns: dict[str, list[str]] = {
        "id": ["good", "broken", "short", "faceless", "empty"],
        "voice_file": ["good.wav", "good.wav", "short.wav", "good.wav", ""],
        "face_file": ["good.png", "broken.png", "", "", ""],
        "text": ["I love it, yes, great", "Yes.", "", "", ""],
    }
    pyarrow.csv.write_csv(pa.table(columns), tmp_path / "t.csv")
    out = tmp_path / "out.parquet"
    assert main(["emotion", "predict", str(model), str(tmp_path / "t.csv"), "-o", str(out)]) == 0
    rows = {row["id"]: row for row in pq.read_table(out).to_pylist()}
    assert {name: row["status"] for name, row in rows.items()} == {
        "good": "ok",
        "broken": "unreadable",
        "short": "unreadable",
        "faceless": "ok",
        "empty": "no_modality",
    }
    assert "broken.png" in rows["broken"]["error"]
    assert "short.wav" in rows["short"]["error"]
    assert rows["good"]["pred"] == "happy"
    assert rows["faceless"]["voice_present"]
    assert not rows["faceless"]["face_present"]


def test_where_nothing_can_be_read_there_are_still_rows(model: Path, tmp_path: Path) -> None:
    rows = beholder.recognize(face=[str(tmp_path / "gone.png"), None], model=model).to_pylist()
    assert [row["status"] for row in rows] == ["unreadable", "no_modality"]
    assert "not there" in rows[0]["error"]


def test_what_is_learnt_of_raw_files_comes_from_the_training_part_only(
    model: Path, table: Path, tmp_path: Path
) -> None:
    columns = pyarrow.csv.read_csv(table).to_pydict()
    columns["text"] = [
        t if s == "train" else "zebra zebra zebra" for t, s in zip(columns["text"], columns["split"], strict=True)
    ]
    columns["face_file"] = [
        f if s == "train" else "0.png" for f, s in zip(columns["face_file"], columns["split"], strict=True)
    ]
    for m in ("voice", "face"):
        columns[f"{m}_file"] = [str(table.parent / f) for f in columns[f"{m}_file"]]
    pyarrow.csv.write_csv(pa.table(columns), tmp_path / "t.csv")
    assert main(["emotion", "fit", str(tmp_path / "t.csv"), "-o", str(tmp_path / "m"), *EXTRACT]) == 0
    for name in ("extractors.json", "extractors.safetensors"):
        assert (tmp_path / "m" / name).read_bytes() == (model / name).read_bytes()


def test_features_and_raw_files_can_be_told_by_one_model(model: Path, table: Path) -> None:
    width = load(model).modalities_["face"].width
    row = beholder.recognize(model=model, text="I hate it", face=np.zeros(width)).to_pylist()[0]
    assert (row["status"], row["face_present"]) == ("ok", True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing says how to read them"),
        (["--extract", "voice=logmel_stats", "--extract", "text=tfidf_svd"], "--extract face=NAME"),
        ([*EXTRACT, "--extract", "hands=hog_pca"], "no column 'hands_file'"),
    ],
)
def test_fit_says_how_raw_files_are_to_be_named(
    arguments: list[str], says: str, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emotion", "fit", str(table), "-o", str(tmp_path / "m"), *arguments]) == 1
    assert says in " ".join(capsys.readouterr().err.split())


def test_fit_names_the_clip_that_it_cannot_read(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pyarrow.csv.write_csv(
        pa.table({"id": ["a", "b"], "face_file": ["gone.png", ""], "label": ["x", "y"]}), tmp_path / "t.csv"
    )
    assert (
        main(["emotion", "fit", str(tmp_path / "t.csv"), "-o", str(tmp_path / "m"), "--extract", "face=hog_pca"]) == 1
    )
    assert "gone.png is not there" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "give a table, or modalities by name: voice=..., face=..., text=..."),
        ({"hands": "x.png"}, "no modality 'hands'; it knows voice, face, text"),
        ({"text": ["a", "b"], "face": ["x.png"]}, "text 2, face 1"),
        ({"voice": np.zeros(3)}, "130"),
    ],
)
def test_recognize_says_what_is_wrong(asked: dict[str, object], says: str, model: Path) -> None:
    with pytest.raises(beholder.errors.UserError, match=says):  # type: ignore[attr-defined]
        beholder.recognize(model=model, **asked)  # type: ignore[arg-type]


def _column(table: Path, m: str) -> list[object]:
    rows = pyarrow.csv.read_csv(table).to_pylist()
    return [row["text"] if m == "text" else str(table.parent / row[f"{m}_file"]) for row in rows]
