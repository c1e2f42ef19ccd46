from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_items import write_items
from made_votes import make_votes, rows_of, write_votes

pytest.importorskip("geoopt", reason="needs the extra emotion")

from beholder.cli import main
from beholder.tical.pairing_study import RHOS, RULES, said_file


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command with a folder of items and one of votes."""
    folder = tmp_path_factory.mktemp("given")
    votes = write_votes(folder / "votes", rows_of(make_votes(200)))
    return ["emotion", "bench", "pairing", str(write_items(folder / "items")), "--votes", str(votes)]


def test_smoke_runs_without_a_trace(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*given, "--smoke"]) == 0
    assert "It runs: 4 rows, 5 endpoints, nothing stored" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_run_goes_on_and_leaves_its_tables(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*given, "-o", str(tmp_path), "--arm", "logistic", "--seeds", "2", "--workers", "1"]
    assert main(asked) == 0
    assert "12 of 12" in capsys.readouterr().out
    stored = json.loads((tmp_path / "emotion-pairing.json").read_text())
    assert [row[:3] for row in stored["rows"]] == [["logistic", rule, f"{rho:g}"] for rule in RULES for rho in RHOS]
    file = said_file(tmp_path, "logistic", "people", 0.3, 1)
    file.unlink()
    assert main(asked) == 0
    out = capsys.readouterr().out
    assert "logistic, label by people, rho = 0.3, seed 1: 1 of 1" in out
    assert json.loads((tmp_path / "emotion-pairing.json").read_text()) == stored


def test_what_can_not_be_run_is_said(given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(given) == 1
    assert "--out" in capsys.readouterr().err
    assert main([*given, "-o", str(tmp_path / "run"), "--arm", "tical"]) == 1
    assert "'tical' is unknown; it can be logistic" in capsys.readouterr().err
    empty = ["emotion", "bench", "pairing", str(tmp_path), *given[4:], "-o", str(tmp_path / "run")]
    assert main([*empty, "--workers", "1"]) == 1
    assert "voice_egemaps.npz" in capsys.readouterr().err
