"""From published files to a score on the command line."""

import json

import plain_clip as plain
import pyarrow.parquet as pq
import pytest
import torch

from beholder.cli import main
from beholder.uniqa.prompts import GROUPS


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A backbone and an adapter in the official layout, and a tokenizer for which every prompt is one word."""
    from tokenizers import Tokenizer, models, processors
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("official")
    for name, content in (("backbone.pt", plain.fixture_state()), ("adapter.pth", plain.fixture_adapter())):
        tensors = {key: torch.from_numpy(value.copy()) for key, value in content.items()}
        torch.save(tensors if name == "backbone.pt" else {"params": tensors}, folder / name)
    words = {prompt: 10 + n for n, prompt in enumerate(GROUPS["quality"])} | {"<start>": 1, "<end>": 99}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<end>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 99)]
    )
    known = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<end>", unk_token="<end>", eos_token="<end>")
    known.save_pretrained(folder / "tokenizer")
    return folder


def test_published_files_become_scores(files, tmp_path, render_picture, capsys):
    backbone, adapter = str(files / "backbone.pt"), str(files / "adapter.pth")
    common = ["convert", "uniqa", "--backbone", backbone, "--tokenizer", str(files / "tokenizer")]
    assert main([*common, "--adapter", adapter, "--out", str(tmp_path / "model")]) == 0
    assert "quality: with its adapter, prompts quality" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "model"), "-o", str(tmp_path / "toy"), "--views", "1"]) == 0
    assert "toy.onnx" in capsys.readouterr().out
    render_picture(1, (100, 80)).save(tmp_path / "a.png")
    out = str(tmp_path / "scores.parquet")
    assert main(["score", str(tmp_path / "a.png"), "--model", str(tmp_path / "toy"), "-o", out, "--workers", "1"]) == 0
    [row] = pq.read_table(out).to_pylist()
    assert row["status"] == "ok"
    assert 20 <= row["quality"] <= 100
    assert row["aesthetics"] is None
    card = json.loads((tmp_path / "toy" / "card.json").read_text())
    assert card["weights_licence"].startswith("research only")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "uniqa", "--backbone", "no.pt", "--out", "OUT"], "'no.pt' is not a file"),
        (["convert", "uniqa", "--backbone", "BACKBONE", "--out", "BACKBONE"], "is a file; give a folder"),
        (["convert", "uniqa", "--backbone", "BACKBONE", "--out", "OUT", "--prompts", "x"], "no prompt group 'x'"),
        (["export", "nothing", "-o", "OUT"], "'nothing' is not a folder; a UniQA model is a folder"),
        (["export", "FOLDER", "-o", "OUT"], "is not a UniQA model: it has no config.json"),
        (["export", "FOLDER", "-o", "BACKBONE"], "is a file; give a folder"),
    ],
)
def test_mistakes_end_in_one_line(files, tmp_path, capsys, arguments, message):
    places = {"OUT": str(tmp_path / "out"), "BACKBONE": str(files / "backbone.pt"), "FOLDER": str(files)}
    given = [places.get(argument, argument) for argument in arguments]
    if arguments[0] == "convert":
        given += ["--tokenizer", str(files / "tokenizer")]
    assert main(given) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
