from __future__ import annotations

from pathlib import Path

import pytest
from scored_rows import scored_rows

from beholder.batch.files import read_rows, write_rows
from beholder.cli import main


def test_files_become_one_or_a_line_says_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(tmp_path / f"{i}.parquet") for i in range(3)]
    for i, file in enumerate(files):
        write_rows([scored_rows({"path": f"{i}.jpg", "quality": i})], Path(file))
    out = str(tmp_path / "all.csv")
    assert main(["merge", *files, "-o", out]) == 0
    assert capsys.readouterr() == ("", f"3 rows of 3 files\nwrote {out}\n")
    assert read_rows(Path(out))["quality"].to_pylist() == [0, 1, 2]
    assert main(["merge", *files, "-o", out]) == 1
    assert capsys.readouterr().err == f"beholder: {out} exists already. Choose another name\n"


def test_a_slice_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(tmp_path / f"scores-{i:02d}-of-13.csv") for i in (1, 13)]
    for file in files:
        write_rows([scored_rows({"path": f"{file}.jpg", "quality": 1})], Path(file))
    assert main(["merge", *files, "-o", str(tmp_path / "all.csv")]) == 0
    said = capsys.readouterr().err
    assert said.startswith(
        "not among these files, by their names: slice 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...\n2 rows of 2 files"
    )
