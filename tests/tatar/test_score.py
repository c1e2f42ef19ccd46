"""One tiny checkpoint is taught to answer, and then scores in every way that there is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from taught_tatar import THINK, taught

import beholder
from beholder.cli import main
from beholder.data.columns import make_table
from beholder.data.manifest import Manifest
from beholder.errors import UserError
from beholder.evaluate.run import evaluate
from beholder.imaging.status import ImageError
from beholder.scoring.asked import Asked
from beholder.scoring.engines import Checkpoint
from beholder.scoring.model import Model
from beholder.task import TASKS, ScoreRange
from beholder.tatar.backend import TransformersBackend, Written
from beholder.tatar.card import read_card
from beholder.tatar.config import TinyConfig
from beholder.tatar.folder import Loaded, load, save
from beholder.tatar.score import TatarScorer, _verdict_of_text, open_scorer
from beholder.tatar.tiny import make_tiny

GREYS = ((30, (56, 56)), (120, (64, 104)), (210, (100, 60)), (250, (90, 90)))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taught(tmp_path_factory.mktemp("tatar"))


@pytest.fixture(scope="module")
def fast(checkpoint: Path) -> Model:
    return beholder.load(f"tatar:{checkpoint}", threads=1)


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """From dark to bright, of several sizes, so that a batch needs padding."""
    return [Image.new("RGB", size, (grey,) * 3) for grey, size in GREYS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pictures: list[Image.Image]) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for i, picture in enumerate(pictures):
        picture.save(folder / f"{i}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    return folder


def test_a_brighter_picture_scores_higher_as_it_was_taught(fast: Model, pictures: list[Image.Image]) -> None:
    for task in TASKS:
        dark, grey, bright, _ = (score.of(task) for score in fast.score(pictures))
        assert 0 <= dark < grey < bright <= 100  # type: ignore[operator]


def test_a_score_does_not_depend_on_its_batch(fast: Model, pictures: list[Image.Image]) -> None:
    together = fast.score(pictures)
    alone = [fast.score(picture) for picture in pictures]
    for task in TASKS:
        np.testing.assert_allclose(*([score.of(task) for score in scores] for scores in (together, alone)), atol=0.05)


@pytest.mark.parametrize("asked", [Asked(), Asked(levels=True)], ids=["number", "levels"])
def test_what_is_shared_gives_what_writing_each_beginning_out_gives(
    checkpoint: Path, pictures: list[Image.Image], asked: Asked
) -> None:
    """Against the plainest way: the whole text with each beginning, one at a time, without a cache."""
    scorer = open_scorer(checkpoint, asked, threads=1)
    assert isinstance(scorer.backend, TransformersBackend)
    questions = scorer.questions(TASKS)
    assert questions[0].head == questions[1].head
    found = scorer.backend.probabilities(pictures[:2], questions)
    model, tokenizer = scorer.backend.loaded.model, scorer.processor.tokenizer
    for question, answers in zip(questions, found, strict=True):
        for picture, rows in zip(pictures[:2], answers, strict=True):
            for beginning, row in zip(question.beginnings, rows, strict=True):
                text = question.head + question.tail + tokenizer.decode(list(beginning))
                inputs = scorer.processor(text=[text], images=[picture], return_tensors="pt")
                with torch.inference_mode():
                    plain = model(**inputs).logits[0, -1].softmax(-1)[list(question.ids)]
                np.testing.assert_allclose(row, plain.numpy(), atol=1e-5)


def test_a_picture_goes_through_the_model_once_for_both_tasks(fast: Model, pictures: list[Image.Image]) -> None:
    scorer = fast.scorer
    assert isinstance(scorer, TatarScorer)
    assert isinstance(scorer.backend, TransformersBackend)
    rows: list[int] = []
    seen = scorer.backend.loaded.model.model.visual.register_forward_pre_hook(lambda *_: rows.append(1))
    try:
        fast.score(pictures)
    finally:
        seen.remove()
    assert rows == [1]


def test_a_chat_whose_template_changes_the_question_is_asked_whole(
    checkpoint: Path, pictures: list[Image.Image]
) -> None:
    scorer = open_scorer(checkpoint, Asked(), threads=1)
    assert scorer.questions(["quality"])[0].tail
    template = scorer.processor.chat_template
    scorer.processor.chat_template = template.replace("{{ part['text'] }}", "{{ part['text'] | upper }}")
    assert scorer.processor.chat_template != template
    assert scorer.questions(["quality"])[0].tail == ""
    [verdicts] = scorer.infer([np.asarray(pictures[0])], TASKS)
    assert all(0 <= (verdicts[task].score or 0) <= 100 for task in TASKS)


def test_levels_are_weighed_as_they_were_taught(checkpoint: Path, pictures: list[Image.Image]) -> None:
    model = beholder.load(f"tatar:{checkpoint}", threads=1, levels=True)
    scores = model.score(pictures)
    for task in TASKS:
        dark, grey, bright, _ = (score.of(task) for score in scores)
        assert dark < grey < bright  # type: ignore[operator]
    for score in scores:
        levels = score.quality_levels or ()
        assert sum(levels) == pytest.approx(1)
        assert score.quality == pytest.approx(np.dot(levels, (0, 25, 50, 75, 100)))
    assert (scores[0].quality or 100) < 40
    assert (scores[3].quality or 0) > 70


def test_levels_that_were_not_taught_are_said_to_be_uncalibrated(checkpoint: Path, tmp_path: Path) -> None:
    asked = Asked(levels=True)
    assert "level words weighed" in read_card(checkpoint, asked).preprocess
    assert "not calibrated" not in read_card(checkpoint, asked).preprocess
    for file in checkpoint.iterdir():
        (tmp_path / file.name).symlink_to(file)
    record = json.loads((checkpoint / "tatar.json").read_bytes())
    del record["level_rows"]
    (tmp_path / "tatar.json").unlink()
    (tmp_path / "tatar.json").write_text(json.dumps(record))
    assert "not calibrated" in read_card(tmp_path, asked).preprocess


def test_one_way_of_asking_at_a_time(checkpoint: Path) -> None:
    with pytest.raises(UserError, match="two ways of asking"):
        beholder.load(f"tatar:{checkpoint}", explain=True, levels=True)
    with pytest.raises(UserError, match="--levels and --allow-prompt-mismatch are not for it"):
        beholder.load(levels=True)


def test_the_think_block_is_opened_so_that_there_are_reasons(checkpoint: Path, pictures: list[Image.Image]) -> None:
    scorer = open_scorer(checkpoint, Asked(explain=True), threads=1)
    assert scorer.chat("quality").endswith("<think>")
    for verdicts in scorer.infer([np.asarray(picture) for picture in pictures], TASKS):
        assert all(verdicts[task].reason for task in TASKS)


def test_reasons_come_with_the_number_that_follows_them(checkpoint: Path, pictures: list[Image.Image]) -> None:
    model = beholder.load(f"tatar:{checkpoint}", threads=1, explain=True)
    first, again = (model.score(pictures, task="quality") for _ in range(2))
    assert first == again
    assert [score.status for score in first] == ["ok"] * len(pictures)
    assert THINK in {score.quality_reason for score in first}
    assert {score.aesthetics for score in first} == {None}


@pytest.mark.parametrize(
    ("written", "failure"),
    [
        (Written("<answer>70.00</answer>", cut=True), "truncated"),
        (Written("Fine.</think>Seventy.", cut=False), "no_answer: the model wrote 'Fine.</think>Seventy.'"),
        (Written("Fine.</think><answer>700</answer>", cut=False), "out_of_range"),
        (Written("Fine.<answer>70</answer>", cut=False), "bad_think"),
    ],
)
def test_an_answer_that_cannot_be_read_is_no_score(written: Written, failure: str) -> None:
    verdict = _verdict_of_text(written)
    assert verdict.score is None
    assert (verdict.failure or "").startswith(failure)


def test_a_model_that_names_no_number_gives_failed_rows(
    checkpoint: Path, pictures: list[Image.Image], tmp_path: Path
) -> None:
    """Untaught: random weights, for which a digit is no likelier than any token."""
    start = load(make_tiny(tmp_path / "start", TinyConfig(width=64, layers=1, vision_layers=1)))
    save(tmp_path / "untaught", Loaded(start.model, start.processor, load(checkpoint).record))
    model = beholder.load(f"tatar:{tmp_path / 'untaught'}")
    [score] = model.score(pictures[:1])
    assert (score.status, score.quality, score.aesthetics) == ("unparsed", None, None)
    assert (score.error or "").startswith("quality: after the opened answer tag a number follows with probability 0.0")
    with pytest.raises(ImageError, match="quality: after the opened answer tag"):
        model.score(pictures[0])


def test_the_command_writes_scores_and_reasons_and_waits_without_torch(
    checkpoint: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.parquet"
    fast = ["score", str(folder), "--model", f"tatar:{checkpoint}", "-o", str(out), "--max-bad", "1"]
    code = (
        "import sys; from beholder.cli import main\n"
        f"assert main({[*fast, '--explain']!r}) == 0\n"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'the process that waits has loaded torch'"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    rows = {Path(row["path"]).name: row for row in pq.read_table(out).to_pylist()}
    assert rows["broken.jpg"]["status"] == "unreadable"
    assert rows["0.png"]["status"] == "ok"
    assert rows["0.png"]["quality_levels"] is None
    assert THINK in {row["quality_reason"] for row in rows.values()}
    assert "reasons first" in rows["0.png"]["preprocess"]
    assert main([*fast, "--explain", "--resume"]) == 0
    assert "nothing left to score" in capsys.readouterr().err
    assert main([*fast, "--retry-failed"]) == 1, "one file holds one way of asking"
    assert "preprocess" in capsys.readouterr().err


def test_evaluate_measures_it_and_says_how_it_was_asked(checkpoint: Path, folder: Path, tmp_path: Path) -> None:
    greys = [float(grey) for grey, _ in GREYS[:3]]
    scale = ScoreRange(0, 255)
    columns = {"path": [f"{i}.png" for i in range(3)], "score": greys, "split": ["test"] * 3}
    manifest = Manifest(
        name="greys", task="quality", range=scale, split_by="row", licence="own work", source="rendered",
        image_root=folder, table=make_table(columns, scale, lambda row: f"row {row + 1}"),
    )  # fmt: skip
    result = evaluate(f"tatar:{checkpoint}", manifest, out=tmp_path / "result", resamples=100)
    assert result.metrics["srcc"].value == pytest.approx(1.0)
    assert "expected number" in (result.preprocess or "")
    assert "transformers" in result.versions


def test_one_process_holds_the_model(checkpoint: Path, folder: Path) -> None:
    with pytest.raises(UserError, match="--workers 2: tatar:taught is held by one process"):
        beholder.score(folder, model=f"tatar:{checkpoint}", workers=2)


def test_its_card_tells_what_it_learned(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", f"tatar:{checkpoint}", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert (card["engine"], card["fit_area"]) == ("tatar", 56 * 56)
    assert card["tasks"]["quality"]["trained_on"] == ["grey:train"]
    assert main(["models", "show", f"tatar:{checkpoint}"]) == 0
    assert "The number that the model names." in capsys.readouterr().out


def test_other_prompts_are_refused_unless_allowed(checkpoint: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in checkpoint.iterdir():
        (other / file.name).symlink_to(file)
    record = json.loads((checkpoint / "tatar.json").read_bytes()) | {"prompts": "f" * 64}
    (other / "tatar.json").unlink()
    (other / "tatar.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="--allow-prompt-mismatch"):
        beholder.load(f"tatar:{other}")
    assert beholder.load(f"tatar:{other}", allow_prompt_mismatch=True).card.name == "tatar:other"


def test_a_folder_named_without_its_engine_is_told_how_to_name_it(checkpoint: Path) -> None:
    with pytest.raises(UserError, match=f"Try tatar:{checkpoint}"):
        beholder.load(checkpoint)


def test_missing_weights_are_told_before_anything_is_loaded(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "tatar.json").write_bytes((checkpoint / "tatar.json").read_bytes())
    with pytest.raises(UserError, match="has no weights"):
        Checkpoint(tmp_path, "tatar").card()
