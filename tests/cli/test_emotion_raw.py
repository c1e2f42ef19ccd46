from __future__ import annotations

import csv
import json
import wave
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from beholder.cli import main

pytest.importorskip("geoopt", reason="needs the extra emotion")
pytest.importorskip("skimage", reason="needs the extra emotion-raw")

EXTRACT = ["--extract", "voice=logmel_stats", "--extract", "face=hog_pca", "--extract", "text=tfidf_svd"]
N_TRAIN, N_TEST = 160, 24
WORDS = {"H": ["what a lovely day", "this is great fun"], "S": ["I miss her so much", "it is all lost"]}


def write_tone(file: Path, hz: float, rng: np.random.Generator) -> None:
    t = np.arange(4000) / 16_000
    wave_of = 0.2 * np.sin(2 * np.pi * hz * t) + 0.1 * np.sin(4 * np.pi * hz * t) + rng.normal(0, 0.01, len(t))
    with wave.open(str(file), "wb") as stream:
        stream.setparams((1, 2, 16_000, 0, "NONE", ""))
        stream.writeframes((wave_of * 32767).astype("<i2").tobytes())


def draw_face(file: Path, smiles: bool, rng: np.random.Generator) -> None:
    image = Image.new("L", (48, 48), 200)
    draw = ImageDraw.Draw(image)
    dx, dy = rng.integers(-2, 3, 2).tolist()
    for x in (14, 30):
        draw.ellipse((x + dx, 14 + dy, x + 4 + dx, 18 + dy), fill=30)
    box, arc = (
        ((12 + dx, 20 + dy, 36 + dx, 38 + dy), (20, 160))
        if smiles
        else ((12 + dx, 32 + dy, 36 + dx, 50 + dy), (200, 340))
    )
    draw.arc(box, *arc, fill=20, width=3)
    noisy = np.asarray(image) + rng.normal(0, 8, (48, 48))
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Happy voices are high, faces smile, words are glad; sad ones the other way. One face of the test is broken."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(N_TRAIN + N_TEST):
        label = "HS"[i % 2]
        write_tone(folder / f"{i}.wav", rng.uniform(240, 320) if label == "H" else rng.uniform(90, 150), rng)
        draw_face(folder / f"{i}.png", label == "H", rng)
        text = WORDS[label][int(rng.integers(2))] + (" unseen unseen" if i >= N_TRAIN else "")
        split = "train" if i < N_TRAIN else "test"
        rows.append([i, split, label, i % 10, f"{i}.wav", f"{i}.png", text])
    (folder / f"{N_TRAIN}.png").write_bytes(b"no picture")
    rows[N_TRAIN + 1][4] = ""
    with (folder / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "split", "label", "group", "voice_path", "face_path", "text_text"], *rows])
    return folder / "clips.csv"


@pytest.fixture(scope="module")
def model(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "m"
    assert main(["emotion", "fit", str(table), "-o", str(folder), "--variant", "attribution", *EXTRACT]) == 0
    return folder


def predicted(model: Path, table: Path, out: Path, *more: str) -> list[dict]:
    assert main(["emotion", "predict", str(model), str(table), "-o", str(out), *more]) == 0
    return pq.read_table(out).to_pylist()


def test_new_clips_are_told_without_a_flag_and_a_broken_one_keeps_its_row(
    model: Path, table: Path, tmp_path: Path
) -> None:
    rows = predicted(model, table, tmp_path / "o.parquet", "--split", "test")
    assert [row["id"] for row in rows] == list(range(N_TRAIN, N_TRAIN + N_TEST))
    broken, without_voice, *others = rows
    assert broken["status"] == "unreadable"
    assert f"face: {N_TRAIN}.png" in broken["error"]
    assert (without_voice["status"], without_voice["voice_present"]) == ("ok", False)
    truth = ["HS"[row["id"] % 2] for row in others]
    assert np.mean([row["pred"] == label for row, label in zip(others, truth, strict=True)]) > 0.9
    for m in ("voice", "face", "text"):
        assert np.mean([row[f"{m}_pseudo"] == label for row, label in zip(others, truth, strict=True)]) > 0.8, m


def test_nothing_is_learned_from_rows_of_another_split(model: Path, tmp_path: Path) -> None:
    kept = json.loads((model / "extract.json").read_text(encoding="utf-8"))["modalities"]
    vocabulary = kept["text"]["facts"]["vocabulary"]
    assert "lovely" in vocabulary
    assert not any("unseen" in word for word in vocabulary)
    assert {m: (one["extractor"], one["version"]) for m, one in kept.items()} == {
        "voice": ("logmel_stats", 1),
        "face": ("hog_pca", 1),
        "text": ("tfidf_svd", 1),
    }
    assert sorted(file.suffix for file in model.iterdir()) == [
        ".json",
        ".json",
        ".json",
        ".safetensors",
        ".safetensors",
    ]


def test_the_same_file_gives_the_same_in_another_table(model: Path, table: Path, tmp_path: Path) -> None:
    """Row by row, whatever else is there: so nothing is learned at predict."""
    whole = predicted(model, table, tmp_path / "o.parquet", "--split", "test")[-1]
    lines = table.read_text().splitlines()
    (table.parent / "one.csv").write_text("\n".join([lines[0], lines[-1]]) + "\n")
    (one,) = predicted(model, table.parent / "one.csv", tmp_path / "o.parquet")
    assert one["pred"] == whole["pred"]
    assert one["confidence"] == pytest.approx(whole["confidence"], abs=1e-5)


def test_another_version_and_a_changed_file_are_errors(
    model: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = (model / "extract.json").read_text(encoding="utf-8")
    arrays = (model / "extract.safetensors").read_bytes()
    line = ["emotion", "predict", str(model), str(table), "-o", str(tmp_path / "o.parquet")]
    try:
        changed = json.loads(facts)
        changed["modalities"]["face"]["version"] = 7
        (model / "extract.json").write_text(json.dumps(changed), encoding="utf-8")
        assert main(line) == 1
        assert "hog_pca version 7" in capsys.readouterr().err
        (model / "extract.json").write_text(facts, encoding="utf-8")
        (model / "extract.safetensors").write_bytes(arrays[:-1] + b"x")
        assert main(line) == 1
        assert "is not the file that extract.json describes" in capsys.readouterr().err
    finally:
        (model / "extract.json").write_text(facts, encoding="utf-8")
        (model / "extract.safetensors").write_bytes(arrays)


@pytest.mark.parametrize(
    ("extract", "says"),
    [
        ("voice", "write MODALITY=EXTRACTOR"),
        ("voice=mfcc", "there are logmel_stats"),
        ("voice=logmel_stats:x", "write logmel_stats"),
        ("text=text_encoder", "text_encoder:FOLDER"),
        ("smell=hog_pca", "neither smell_path nor smell_text"),
        ("text=hog_pca", "reads a picture, and the table has text"),
        ("face=logmel_stats", "no training row could be read"),
        ("text=text_encoder:nowhere/at/all", "no encoder 'nowhere/at/all'"),
    ],
)
def test_a_wrong_extract_is_explained(
    extract: str, says: str, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emotion", "fit", str(table), "-o", str(tmp_path / "m"), "--extract", extract]) == 1
    assert says in capsys.readouterr().err
