"""The notebook runs from its first cell to its last, and keeps no output that could go stale."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOK = EXAMPLES / "first_look.ipynb"


def cells() -> list[dict[str, Any]]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_no_outputs_are_stored() -> None:
    assert [cell for cell in cells() if cell["outputs"] or cell["execution_count"] is not None] == []


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = tmp_path / "examples"
    pictures.mkdir()
    for picture in EXAMPLES.glob("*.jpg"):
        shutil.copy(picture, pictures)
    monkeypatch.chdir(pictures)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    here: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells(), start=1):
        exec(compile("".join(cell["source"]), f"cell {number} of {NOTEBOOK.name}", "exec"), here)
    shown = capsys.readouterr().out
    assert here["qualities"] == sorted(here["qualities"], reverse=True)
    assert here["worst"][0]["quality"] == min(row["quality"] for row in here["rows"] if row["status"] == "ok")
    assert len(here["best"]) == 3
    assert "broken.jpg unsupported - " in shown
    assert here["page"].path.is_file()
    assert sorted(path.name for path in pictures.iterdir()) == sorted(path.name for path in EXAMPLES.glob("*.jpg"))
