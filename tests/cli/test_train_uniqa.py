from pathlib import Path

import pytest
import yaml
from nano_uniqa import SIZES, tiny_model, write_bright

from beholder.cli import main
from beholder.training.recipe import read_recipe
from beholder.uniqa.config import RECIPE

RECIPES = sorted((Path(__file__).parents[2] / "recipes" / "uniqa").glob("*.yaml"))


def written(folder: Path, **fields: object) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(
        yaml.dump({name: str(value) if isinstance(value, Path) else value for name, value in fields.items()})
    )
    return file


def one_line(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["train", "uniqa", *map(str, arguments)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_every_recipe_of_the_house_is_valid(file: Path) -> None:
    assert read_recipe(file, RECIPE, "recipes/uniqa").name


def test_texts_become_a_model_and_the_model_an_adapter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way on the command line: caption, pre-train, adapt."""
    write_bright(tmp_path / "set", "quality", ["train"] * 20 + ["test"] * 12)
    texts, model = tmp_path / "texts.jsonl", tmp_path / "pretrained" / "model"
    assert main(["data", "caption", str(tmp_path / "set"), "-o", str(texts)]) == 0
    recipe = written(
        tmp_path, kind="pretrain", name="toy", texts={"files": [str(texts)], "held_out": [str(tmp_path / "set")]},
        encoder=SIZES, batch=8, epochs=1, bf16=False, optimiser={"warmup_steps": 0},
    )  # fmt: skip
    assert main(["train", "uniqa", str(recipe), "--dry-run"]) == 0
    assert "20 pictures" in capsys.readouterr().err
    assert not model.exists()
    assert main(["train", "uniqa", str(recipe), "-o", str(tmp_path / "pretrained")]) == 0
    recipe = written(
        tmp_path, kind="adapt", name="toy", model=model, manifest=tmp_path / "set", repeats=1, bf16=False,
        learn={"features": "grid", "epochs": 2, "hold_out": 0.2},
    )  # fmt: skip
    capsys.readouterr()
    assert main(["train", "uniqa", str(recipe), "-o", str(tmp_path / "adapted")]) == 0
    assert "best: SRCC" in capsys.readouterr().err
    assert (tmp_path / "adapted" / "summary.json").is_file()
    assert (tmp_path / "adapted" / "00" / "model" / "config.json").is_file()


def test_a_wrong_recipe_is_one_line_that_names_the_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = {"kind": "adapt", "name": "toy", "model": tmp_path / "m", "manifest": tmp_path / "s"}
    assert "is not a file" in one_line(capsys, tmp_path / "none.yaml")
    assert "epoch: Extra inputs are not permitted" in one_line(capsys, written(tmp_path, **good, epoch=3))
    assert "'pretrain', 'adapt', 'few_label', 'study'" in one_line(capsys, written(tmp_path, kind="adopt", name="x"))
    learn = {"method": "finetune", "features": "grid"}
    assert "fine-tuning changes the features" in one_line(capsys, written(tmp_path, **good, learn=learn))
    both = {"kind": "pretrain", "name": "x", "texts": {"files": ["a"]}, "encoder": SIZES, "epochs": 1, "steps": 1}
    assert "give epochs or steps" in one_line(capsys, written(tmp_path, **both))


def test_missing_things_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bright(tmp_path / "set", "quality", ["train"] * 8 + ["test"] * 2)
    fields = {"kind": "few_label", "name": "toy", "manifest": tmp_path / "set", "labels": [4]}
    assert "is not a folder" in one_line(capsys, written(tmp_path, **fields, model=tmp_path / "none"))
    tiny_model().save(tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert "truncated" in one_line(capsys, written(tmp_path, **fields, model=tmp_path / "model"))
