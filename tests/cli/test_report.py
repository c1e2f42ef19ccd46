from __future__ import annotations

from pathlib import Path

import pytest
from conftest import RenderPicture
from tiny_model import write_tiny_checkpoint

from beholder.batch.files import write_rows
from beholder.batch.rows import rows_table
from beholder.cli import main
from beholder.scoring.card import Card
from beholder.scoring.score import Score


def test_scores_of_a_run_become_a_page(
    tmp_path: Path, render_picture: RenderPicture, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = str(write_tiny_checkpoint(tmp_path / "tiny"))
    Path("photos").mkdir()
    for i in range(5):
        render_picture(i, (80, 60)).save(f"photos/{i}.jpg")
    Path("photos/broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert main(["score", "photos", "-o", "scores.csv", "--model", model, "--workers", "1", "--max-bad", "50%"]) == 0
    capsys.readouterr()
    assert main(["report", "scores.csv", "--model", model, "--title", "Five & one"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "6 rows, 1 not scored | gallery: all 5, 5 thumbnails"
    page = Path("scores.html").read_text(encoding="utf-8")
    assert "<h1>Five &amp; one</h1>" in page
    monkeypatch.chdir("/")  # where relative paths lead nowhere, unless told where they start
    for arguments, n_thumbnails in (([], 0), (["--pictures", str(tmp_path)], 5)):
        main(["report", str(tmp_path / "scores.csv"), *arguments])
        assert f"{n_thumbnails} thumbnails" in capsys.readouterr().out


def test_both_models_of_a_cascade_can_be_named(tmp_path: Path) -> None:
    folders = [write_tiny_checkpoint(tmp_path / name, seed=seed, name=name) for seed, name in enumerate(("one", "two"))]
    tables = [rows_table([Score(50.0, 40.0, path=f.name)], Card.read(f / "card.json")) for f in folders]
    write_rows(tables, tmp_path / "scores.parquet")
    for n_named in range(3):
        options = [word for folder in folders[:n_named] for word in ("--model", str(folder))]
        assert main(["report", str(tmp_path / "scores.parquet"), *options]) == 0
        page = (tmp_path / "scores.html").read_text(encoding="utf-8")
        assert page.count("Knows nothing.") == n_named
        assert page.count("card of this model was not found") == 2 - n_named


def test_a_mistake_ends_as_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.csv").write_text("path\na.jpg\n")
    assert main(["report", str(tmp_path / "other.csv")]) == 1
    assert "is not a table of scores" in capsys.readouterr().err
