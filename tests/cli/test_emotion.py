from __future__ import annotations

import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beholder.cli import main

pytest.importorskip("geoopt", reason="needs the extra emotion")

from planted_emotions import plant
from planted_sentiment import plant_numbers

from beholder.tical.folder import load


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


def test_features_are_standardised_within_groups_where_that_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = plant(300)
    speaker = data.group % 5
    loud = {m: x + np.random.default_rng(1).normal(0, 30, (5, 8))[speaker] for m, x in data.x.items()}
    label, split = np.array(list("ADFHNS"))[data.y], np.where(np.arange(300) % 4, "train", "test")
    table, bare = tmp_path / "table.npz", tmp_path / "bare.npz"
    np.savez(table, **loud, label=label, group=speaker, split=split)
    np.savez(bare, **loud, label=label, split=split)
    fit = ["emotion", "fit", str(table), "--standardize-by", "speaker"]
    assert main([*fit, "-o", str(tmp_path / "m")]) == 0
    assert re.search(r"Mean consistency: train 0\.\d+, valid 0\.\d+, test 0\.\d+", capsys.readouterr().out)
    card = json.loads((tmp_path / "m" / "card.json").read_text())
    assert set(card["mean_consistency"]) == {"train", "valid", "test"}
    assert main(["emotion", "evaluate", str(tmp_path / "m"), str(table), "-o", str(tmp_path / "r.json")]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["wa"]["value"] > 0.6
    out = tmp_path / "out.parquet"
    assert main(["emotion", "predict", str(tmp_path / "m"), str(table), "-o", str(out)]) == 0
    assert set(pq.read_table(out)["standardized_by"].to_pylist()) == {"speaker"}
    capsys.readouterr()
    for command in (
        ["fit", str(bare), "--standardize-by", "speaker", "-o", str(tmp_path / "n")],
        ["predict", str(tmp_path / "m"), str(bare), "-o", str(out)],
    ):
        assert main(["emotion", *command]) == 1
        assert "no 'group'; features are standardised within each speaker" in capsys.readouterr().err


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
        ({"voice": np.array([[{}]]), "label": np.zeros(1)}, "without objects: it holds Python objects"),
        ({"voice": np.zeros((0, 3)), "label": np.zeros(0)}, "has no samples"),
        ({"voice": np.zeros((3, 2)), "label": np.array(["A", "", "B"])}, "the label of row 1 is ''"),
        ({"voice": np.zeros((3, 2)), "label": np.array([1.0, np.nan, 2.0])}, "the label of row 1 is nan"),
        ({"voice": np.zeros((9, 2)), "label": np.array(["A"] * 9)}, "every label is 'A'; at least two"),
        (
            {"voice": np.zeros((2, 4, 3)), "voice_lengths": np.array([1, 5]), "label": np.arange(2)},
            "from 1 to 5; they must be 2 whole numbers from 0 to 4",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_explained(
    arrays: dict[str, np.ndarray], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "t.npz", **arrays)
    assert main(["emotion", "fit", str(tmp_path / "t.npz"), "-o", str(tmp_path / "m")]) == 1
    assert says in capsys.readouterr().err


def test_a_row_of_numbers_that_are_none_keeps_its_place(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = plant(60)
    data.x["voice"][3, 1], data.x["face"][5, 2] = np.inf, np.nan
    table, out = tmp_path / "table.npz", tmp_path / "out.parquet"
    split = np.where(np.arange(60) < 4, "test", "train")
    np.savez(table, **data.x, label=np.array(list("ADFHNS"))[data.y], id=[f"clip {i}" for i in range(60)], split=split)
    assert main(["emotion", "predict", str(model), str(table), "-o", str(out)]) == 0
    rows = pq.read_table(out).to_pylist()
    assert [row["id"] for row in rows if row["status"] == "unreadable"] == ["clip 3", "clip 5"]
    assert rows[3]["error"].startswith("modality 'voice' is infinite in row 3")
    assert "NaN in a part of row 5" in rows[5]["error"]
    assert all(row["pred"] and not row["error"] for row in rows if row["status"] == "ok")
    capsys.readouterr()
    for command in (["fit", str(table), "-o", str(tmp_path / "m")], ["evaluate", str(model), str(table)]):
        assert main(["emotion", *command]) == 1
        assert re.search(r"sample clip \d: modality '\w+' is .* in .*row \d", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["notes.npz", "hostile.npz"])
def test_nothing_that_is_no_table_is_run(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace"

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return Path.write_text, (trace, "x")  # type: ignore[return-value]

    (tmp_path / name).write_bytes(b"hello" if name == "notes.npz" else pickle.dumps(Hostile()))
    for command in (["fit", "-o", str(tmp_path / "m")], ["inspect"]):
        assert main(["emotion", command[0], str(tmp_path / name), *command[1:]]) == 1
        said = capsys.readouterr().err
        assert "it holds Python objects, or is another kind of file" in said
        assert "allow_pickle" not in said
    assert not trace.exists()


def test_no_model_is_written_over(model: Path, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emotion", "fit", str(table), "-o", str(model)]) == 1
    assert "is not empty" in capsys.readouterr().err


def test_an_unknown_variant_is_named(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emotion", "fit", str(table), "-o", str(tmp_path / "m"), "--variant", "x"]) == 1
    assert "it can be published, attribution" in capsys.readouterr().err


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    x, label, group = plant_numbers(300)
    split = np.repeat(["train", "valid", "test"], [200, 50, 50])
    np.savez(folder / "t.npz", **x, label=label, group=group, split=split, label_text=label, label_audio=label)
    return folder / "t.npz"


@pytest.fixture(scope="module")
def regressor(numbers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "r"
    assert main(["emotion", "fit", str(numbers), "-o", str(folder), "--task", "regression", "--edges=-1,0,1"]) == 0
    return folder


def test_a_number_is_measured_on_the_test_split_by_both_kinds_of_acc_2(
    regressor: Path, numbers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.json"
    assert main(["emotion", "evaluate", str(regressor), str(numbers), "-o", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["scored"] == result["total"] == 50
    assert result["acc2_non0"]["value"] > 0.7
    assert result["corr"]["interval"][0] > 0.5
    people = result["against_people"]
    assert people["text"]["n"] == 50
    assert people["text"]["pseudo_label"] > 0.4
    assert people["conflict"] == {"n": 50, "share": 0.0, "auroc": None}
    printed = capsys.readouterr().out
    assert "50 of 50 samples of split test" in printed
    assert "Acc-2, without 0" in printed
    assert "text: pseudo label against people" in printed
    assert main(["emotion", "evaluate", str(regressor), str(numbers), "--measures", "sims", "--split", "valid"]) == 0
    assert "Acc-5" in capsys.readouterr().out


def test_cells_that_cannot_be_read_keep_their_rows(model: Path, tmp_path: Path) -> None:
    data = plant(4)
    for m, values in data.x.items():
        for i, row in enumerate(values):
            np.save(tmp_path / f"{m}{i}.npy", row)
    (tmp_path / "voice2.npy").write_bytes(b"no array")
    lines = [f"clip{i},voice{i}.npy,face{i}.npy" for i in range(3)] + ["clip3,,face3.npy"]
    (tmp_path / "t.csv").write_text("\n".join(["id,voice_path,face_path", *lines]))
    out = tmp_path / "o.parquet"
    assert main(["emotion", "predict", str(model), str(tmp_path / "t.csv"), "-o", str(out)]) == 0
    rows = pq.read_table(out).to_pylist()
    assert [row["status"] for row in rows] == ["ok", "ok", "unreadable", "ok"]
    assert "voice2.npy" in rows[2]["error"]
    assert (rows[2]["pred"], rows[3]["voice_present"]) == ("", False)


def test_a_page_shows_the_least_consistent_first(
    model: Path, table: Path, regressor: Path, numbers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.html"
    assert main(["emotion", "report", str(model), str(table), "-o", str(out), "--most", "20"]) == 0
    assert "20 of 500 samples" in capsys.readouterr().out
    values = [float(v) for v in re.findall(r"Consistency <strong>([\d.]+)", out.read_text(encoding="utf-8"))]
    assert len(values) == 20
    assert values == sorted(values)
    assert main(["emotion", "report", str(regressor), str(numbers), "-o", str(out), "--split", "test"]) == 0
    assert "50 of 50 samples" in capsys.readouterr().out
    assert main(["emotion", "report", str(model), str(table), "-o", str(tmp_path / "r.txt")]) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--edges", "0,1"], "go with --task regression"),
        (["--task", "regression", "--edges", "a"], "--edges a: numbers with commas"),
        (["--task", "regression"], "is it a task of classes?"),
        (["--task", "regression", "--edges=-inf,0,inf"], "settings: label_edges must be finite"),
        (["--seed", "-1"], "setting seed: Input should be greater than or equal to 0, got -1"),
        (["--variant", "true-labels"], "--variant 'true-labels' is unknown"),
    ],
)
def test_options_that_do_not_fit_are_named(
    options: list[str], says: str, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emotion", "fit", str(table), "-o", str(tmp_path / "m"), *options]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "name", "says"),
    [
        ("predict", "table.npz", "its ending is .npz, and .parquet is what is written"),
        ("predict", "table.parquet", "table.parquet is read here, and would be replaced"),
        ("predict", "no/out.parquet", "no does not exist. Make it first"),
        ("predict", "folder.parquet", "is a folder; name a file in it"),
        ("predict", "m/model.parquet", "is read here, and would be replaced"),
        ("evaluate", "m/config.json", "is read here, and would be replaced"),
        ("report", "no/page.html", "no does not exist. Make it first"),
    ],
)
def test_an_output_never_replaces_what_is_read(
    command: str, name: str, says: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model, tmp_path / "m")
    (tmp_path / "m/model.parquet").write_bytes(b"mine")
    (tmp_path / "folder.parquet").mkdir()
    np.save(tmp_path / "v.npy", np.ones(4))
    pq.write_table(pa.table({"voice_path": ["v.npy"], "label": ["A"]}), tmp_path / "table.parquet")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    line = ["emotion", command, str(tmp_path / "m"), str(tmp_path / "table.parquet"), "-o", str(tmp_path / name)]
    assert main(line) == 1
    assert says in capsys.readouterr().err
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_labels_that_the_model_does_not_know_are_told(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = plant(60)
    label = np.array(list("ADFHNS"))[data.y]
    np.savez(tmp_path / "t.npz", **data.x, label=np.char.lower(label))
    assert main(["emotion", "evaluate", str(model), str(tmp_path / "t.npz")]) == 1
    assert "no sample has a label that the model knows: a, d, f, h, n; it knows A, D" in capsys.readouterr().err
    label[:2] = "x"
    np.savez(tmp_path / "t.npz", **data.x, label=label)
    assert main(["emotion", "evaluate", str(model), str(tmp_path / "t.npz"), "-o", str(tmp_path / "r.json")]) == 0
    assert "Labels that the model doesn't know count as missed: x" in capsys.readouterr().out
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["unknown_labels"] == ["x"]
    assert result["wa"]["value"] < 59 / 60
    assert main(["emotion", "evaluate", str(model), str(tmp_path / "t.npz"), "--measures", "sims"]) == 1
    assert "--measures sims is for numbers" in capsys.readouterr().err


@pytest.mark.parametrize("made", [int, float, str])
def test_one_and_one_point_nought_are_the_same_label(made: type, tmp_path: Path) -> None:
    data = plant(200)
    np.savez(tmp_path / "fit.npz", **data.x, label=data.y)
    assert main(["emotion", "fit", str(tmp_path / "fit.npz"), "-o", str(tmp_path / "m")]) == 0
    np.savez(tmp_path / "t.npz", **data.x, label=np.array([made(k) for k in data.y]))
    out = tmp_path / "r.json"
    assert main(["emotion", "evaluate", str(tmp_path / "m"), str(tmp_path / "t.npz"), "-o", str(out)]) == 0
    assert json.loads(out.read_text())["wa"]["value"] > 0.7


def test_features_of_any_unit_are_learned_from(tmp_path: Path) -> None:
    data = plant(200)
    np.savez(tmp_path / "t.npz", **{m: 1e-9 * x for m, x in data.x.items()}, label=data.y)
    assert main(["emotion", "fit", str(tmp_path / "t.npz"), "-o", str(tmp_path / "m")]) == 0
    out = tmp_path / "r.json"
    assert main(["emotion", "evaluate", str(tmp_path / "m"), str(tmp_path / "t.npz"), "-o", str(out)]) == 0
    assert json.loads(out.read_text())["wa"]["value"] > 0.7


@pytest.mark.parametrize(("key", "value"), [("classes", list("SNHFDA")), ("modalities", []), ("prior", None)])
def test_a_changed_config_is_refused(
    key: str, value: object, model: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model, tmp_path / "m")
    config = json.loads((tmp_path / "m/config.json").read_text())
    (tmp_path / "m/config.json").write_text(json.dumps(config | {key: value}))
    line = ["emotion", "predict", str(tmp_path / "m"), str(table), "-o", str(tmp_path / "o.parquet")]
    assert main(line) == 1
    assert "config.json is not the file that card.json describes" in capsys.readouterr().err


def test_a_model_whose_extractors_are_lost_says_so(
    model: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model, tmp_path / "m")
    card = json.loads((tmp_path / "m/card.json").read_text())
    (tmp_path / "m/card.json").write_text(json.dumps(card | {"extractors": {"text": "tfidf_svd"}}))
    assert main(["emotion", "predict", str(tmp_path / "m"), str(table), "-o", str(tmp_path / "o.parquet")]) == 1
    assert "has no extract.json, and text needs it" in capsys.readouterr().err


def test_a_classifiers_labels_cannot_measure_a_regressor(
    regressor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "t.npz", text=np.ones((2, 4)), label=np.array(["a", "b"]))
    assert main(["emotion", "evaluate", str(regressor), str(tmp_path / "t.npz")]) == 1
    assert "is no number" in capsys.readouterr().err
    for label, shown, says in (
        (np.array([1.0, np.inf]), np.zeros(2), "the label of row 1 is infinite"),
        (np.array([1.0, 0.0]), np.array(["a", "b"]), "the label 'a' is no number"),
    ):
        x = {
            m: np.random.default_rng(0).normal(size=(2, kind.width)) for m, kind in load(regressor).modalities_.items()
        }
        np.savez(tmp_path / "t.npz", **x, label=label, **{f"label_{next(iter(x))}": shown})
        assert main(["emotion", "evaluate", str(regressor), str(tmp_path / "t.npz")]) == 1
        assert says in capsys.readouterr().err


def test_a_sample_of_no_group_can_not_be_standardised_within_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = plant(60)
    group = (data.group % 5).astype(float)
    group[7] = np.nan
    np.savez(tmp_path / "t.npz", **data.x, label=data.y, group=group)
    line = ["emotion", "fit", str(tmp_path / "t.npz"), "-o", str(tmp_path / "m"), "--standardize-by", "speaker"]
    assert main(line) == 1
    assert "the group of row 7 is NaN; features are standardised within each speaker" in capsys.readouterr().err
