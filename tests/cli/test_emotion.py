from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from beholder.cli import main

pytest.importorskip("geoopt", reason="needs the extra emotion")

from planted_emotions import plant


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = plant(500)
    file = tmp_path_factory.mktemp("table") / "table.npz"
    np.savez(file, **data.x, label=np.array(list("ADFHNS"))[data.y], group=data.group)
    return file


@pytest.fixture(scope="module")
def model(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "m"
    assert main(["emotion", "fit", str(table), "-o", str(folder)]) == 0
    return folder


def test_a_fitted_model_predicts_a_row_per_sample(model: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    assert main(["emotion", "predict", str(model), str(table), "-o", str(out)]) == 0
    rows = pq.read_table(out).to_pylist()
    assert [row["id"] for row in rows] == list(range(500))
    assert {row["pred"] for row in rows} == set("ADFHNS")
    assert all(0 <= row["consistency"] <= 1 for row in rows)


def test_what_is_measured_is_printed_and_written(
    model: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result.json"
    assert main(["emotion", "evaluate", str(model), str(table), "-o", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["scored"] == result["total"] == 500
    low, high = result["wa"]["interval"]
    assert 0.7 < low <= result["wa"]["value"] <= high
    assert f"{result['wa']['value']:.3f}" in capsys.readouterr().out


def test_the_card_says_what_it_is_and_what_it_is_not_for(model: Path) -> None:
    card = json.loads((model / "card.json").read_text())
    assert card["trained_on"] == "table.npz"
    assert "Not for decisions about people" in card["limits"]


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"label": np.zeros(3)}, "has no modality"),
        ({"voice": np.zeros((3, 2))}, "no array 'label'"),
        ({"voice": np.zeros(3), "label": np.zeros(3)}, "a modality is numbers"),
        ({"voice": np.zeros((3, 2)), "label": np.zeros(2)}, "unequal lengths"),
        ({"voice": np.array([[{}]]), "label": np.zeros(1)}, "without objects"),
    ],
)
def test_a_table_that_cannot_be_used_is_explained(
    arrays: dict[str, np.ndarray], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "t.npz", **arrays)
    assert main(["emotion", "fit", str(tmp_path / "t.npz"), "-o", str(tmp_path / "m")]) == 1
    assert says in capsys.readouterr().err


def test_no_model_is_written_over(model: Path, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emotion", "fit", str(table), "-o", str(model)]) == 1
    assert "is not empty" in capsys.readouterr().err


def test_an_unknown_variant_is_named(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emotion", "fit", str(table), "-o", str(tmp_path / "m"), "--variant", "x"]) == 1
    assert "it can be published, attribution" in capsys.readouterr().err
