from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mmsa_pickles import mmsa_content, write_mmsa

from beholder.cli import main
from beholder.tical.contents import contents

pytest.importorskip("geoopt", reason="needs the extra emotion")


def test_a_pickle_becomes_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = mmsa_content()
    content["train"]["vision"][0, 0, :2] = np.nan
    file = write_mmsa(tmp_path / "mosi.pkl", content)
    assert main(["emotion", "convert", "mmsa", str(file), str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "76 samples: 40 train, 16 valid, 20 test" in printed
    assert "vision: 6 steps of 4 features; 2 numbers were NaN or infinite, and are 0 now" in printed
    assert f"Warning: sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}" in printed.replace("\n", "")
    assert (tmp_path / "out" / "features.npz").is_file()


class _Hostile:
    def __reduce__(self) -> object:
        return os.system, ("exit 1",)


def test_a_hostile_pickle_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_mmsa(tmp_path / "p.pkl", {"train": {"text": _Hostile()}})
    for line in (["convert", "mmsa", str(file), str(tmp_path / "out")], ["inspect", str(file)]):
        assert main(["emotion", *line]) == 1
        assert f"wants to call {os.name}.system" in capsys.readouterr().err.replace("nt.", "posix.")
    assert not (tmp_path / "out").exists()


def test_labels_of_a_csv_that_are_numbers_have_a_range(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,label,split\n001,0.5,train\n002,-2,test\n003,,test\n", encoding="utf-8")
    found = {entry.name: entry for entry in contents(tmp_path / "t.csv")}
    assert (found["label"].low, found["label"].high, found["label"].missing) == (-2, 0.5, 1)
    assert (found["id"].kind, found["split"].counts) == ("text", {"test": 2, "train": 1})


def test_a_column_of_lists_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table({"id": [1, 2], "embedding": [[0.5, 1.0], [2.0, 3.0]]}), tmp_path / "t.parquet")
    assert main(["emotion", "inspect", str(tmp_path / "t.parquet")]) == 0
    assert "embedding" in capsys.readouterr().out


def test_too_large_a_pickle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_mmsa(tmp_path / "p.pkl")
    for wrong in ("nan", "inf", "0"):
        assert main(["emotion", "inspect", str(file), "--max-gb", wrong]) == 1
        assert f"--max-gb {wrong}: allowed are numbers above 0" in capsys.readouterr().err
    assert main(["emotion", "inspect", str(file), "--max-gb", "1e-6"]) == 1
    assert "Raise --max-gb" in capsys.readouterr().err


def test_arrays_columns_and_keys_are_listed_with_their_gaps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    voice = np.array([[1.0, np.nan], [-2.5, np.inf], [0, 4]])
    np.savez(tmp_path / "t.npz", voice=voice, label=np.array(["sad", "calm", "sad"]))
    pq.write_table(pa.table({"score": [0.5, None, 2.0], "id": ["a", "b", None]}), tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("id,group\n1,x\n2,x\n")
    found = {
        name: {entry.name: entry for entry in contents(tmp_path / name)} for name in ("t.npz", "t.parquet", "t.csv")
    }
    entry = found["t.npz"]["voice"]
    assert (entry.shape, entry.low, entry.high, entry.missing, entry.infinite) == ((3, 2), -2.5, 4.0, 1, 1)
    assert found["t.npz"]["label"].counts == {"calm": 1, "sad": 2}
    score = found["t.parquet"]["score"]
    assert (score.low, score.high, score.missing, score.distinct) == (0.5, 2.0, 1, 2)
    assert found["t.parquet"]["id"].missing == 1
    assert found["t.csv"]["group"].counts == {"x": 2}
    write_mmsa(tmp_path / "p.pkl")
    names = {entry.name: entry for entry in contents(tmp_path / "p.pkl")}
    assert names["test.vision"].shape == (20, 6, 4)
    assert names["train.raw_text"].distinct == 40
    assert main(["emotion", "inspect", str(tmp_path / "t.npz")]) == 0
    printed = capsys.readouterr().out
    assert "3 x 2" in printed
    assert "calm 1, sad 2" in printed


def test_an_unknown_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("x")
    for name, says in (("a.txt", "named are .npz"), ("b.csv", "no file"), ("b.pkl", "no file")):
        assert main(["emotion", "inspect", str(tmp_path / name)]) == 1
        assert says in capsys.readouterr().err


def test_what_only_looks_at_files_does_not_wait_for_torch(tmp_path: Path) -> None:
    np.savez(tmp_path / "features.npz", voice=np.zeros((3, 2)))
    code = (
        "import sys; from beholder.cli import main; "
        f"assert main(['emotion', 'inspect', {str(tmp_path / 'features.npz')!r}]) == 0; "
        "sys.exit(bool({'torch', 'sklearn', 'transformers'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
