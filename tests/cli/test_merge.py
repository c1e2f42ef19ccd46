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
