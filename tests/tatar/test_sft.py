from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rated_pictures import write_rated, write_rationales

from beholder.errors import UserError
from beholder.tatar.answer import read
from beholder.tatar.config import SftRecipe
from beholder.tatar.examples import Example
from beholder.tatar.folder import Loaded, load
from beholder.tatar.picture import fit_of, open_picture
from beholder.tatar.prompts import PROMPTS
from beholder.tatar.sft import make_trainer, read_material, start, train_sft, trainer_arguments
from beholder.training.run_folder import last_whole_checkpoint

SIZES = {"width": 64, "layers": 2, "vision_width": 32, "vision_layers": 1, "max_side": 56, "vocabulary": 700}


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> list[dict[str, Path]]:
    """Two sets of 16 pictures each, one per task, with rationales."""
    root = tmp_path_factory.mktemp("sets")
    found = []
    for task in ("quality", "aesthetics"):
        rated = write_rated(root / task, task, n_train=16)
        rationales = write_rationales(rated, root / f"{task}.jsonl")
        found.append({"manifest": root / task, "rationales": rationales})
    return found


def recipe(sets: list[dict[str, Path]], **changes: Any) -> SftRecipe:
    fields = {
        "name": "toy", "model": SIZES, "data": sets, "batch": 8, "device_batch": 4, "bf16": False,
        "checkpointing": False, "save_steps": 1000, "optimiser": {"learning_rate": 4e-3},
    }  # fmt: skip
    return SftRecipe.model_validate(fields | changes)


def trainer_of(settings: SftRecipe, out: Path) -> tuple[Any, Loaded]:
    material = read_material(settings)
    base = start(settings, material, out)
    arguments = trainer_arguments(settings, len(material.draws), out)
    return make_trainer(settings, base, material, arguments), base


def answers(loaded: Loaded, examples: Sequence[Example], tokens: int = 80) -> list[tuple[str, bool]]:
    """Greedy completions, and whether each hit the limit of tokens."""
    processor, fit = loaded.processor, fit_of(loaded.processor)
    chats = [
        processor.apply_chat_template(PROMPTS.messages(example.task), add_generation_prompt=True, tokenize=False)
        for example in examples
    ]
    images = [[open_picture(example.path, fit)] for example in examples]
    inputs = processor(text=chats, images=images, padding=True, return_tensors="pt")
    with torch.inference_mode():
        found = loaded.model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
    new = found[:, inputs["input_ids"].shape[1] :]
    end = processor.tokenizer.eos_token_id
    return [
        (text, end not in row)
        for text, row in zip(processor.batch_decode(new, skip_special_tokens=True), new.tolist(), strict=True)
    ]


def test_the_answer_and_its_end_are_labelled_and_nothing_else(sets, tmp_path: Path):
    trainer, base = trainer_of(recipe(sets), tmp_path)
    tokenizer = base.processor.tokenizer
    examples = read_material(recipe(sets)).examples
    rows = [trainer.train_dataset[place] for place in range(6)]
    batch = trainer.data_collator(rows)
    places = [trainer.train_dataset.with_format(None)[place]["place"] for place in range(6)]
    draws = read_material(recipe(sets)).draws
    assert {examples[draws[place].example].task for place in places} == {"quality", "aesthetics"}
    assert {draws[place].form for place in places} == {"reasons", "level"}
    for labels, ids, place in zip(batch["labels"], batch["input_ids"], places, strict=True):
        learned = labels[labels != -100]
        expected = examples[draws[place].example].answer(draws[place].form) + tokenizer.eos_token + "\n"
        assert tokenizer.decode(learned) == expected
        assert torch.equal(ids[labels != -100], learned)
        assert tokenizer.convert_tokens_to_ids("<|image_pad|>") not in learned


def test_the_loss_is_the_same_whatever_side_the_tokenizer_pads_on(sets, tmp_path: Path):
    """And it is the loss of each answer alone, without a neighbour to be padded to."""
    trainer, base = trainer_of(recipe(sets), tmp_path)
    rows = [trainer.train_dataset[place] for place in range(6)]

    def loss(rows: list[Any], side: str) -> tuple[float, int]:
        base.processor.tokenizer.padding_side = side
        batch = trainer.data_collator([dict(row) for row in rows])
        n = int((batch["labels"] != -100).sum())
        with torch.no_grad():
            return float(trainer.compute_loss(trainer.model, batch)) * n, n

    left, right = loss(rows, "left"), loss(rows, "right")
    alone = [loss([row], "left") for row in rows]
    assert left == pytest.approx(right, rel=1e-5)
    assert left[0] == pytest.approx(sum(total for total, _ in alone), rel=1e-4)
    assert left[1] == sum(n for _, n in alone)


def test_it_learns_to_answer_in_form_to_end_and_to_tell_bright_from_dark(sets, tmp_path: Path):
    model = SIZES | {"max_side": 28}  # one visual token: enough to see how bright it is
    settings = recipe(sets, data=sets[:1], model=model, device_batch=8, epochs=24)
    out = train_sft(settings, tmp_path / "run")
    examples = read_material(settings).examples
    loaded = load(out)
    readings = [read(text, cut=cut) for text, cut in answers(loaded, examples)]
    assert sum(reading.failure is None for reading in readings) >= 0.9 * len(readings)
    scores = {
        example.target: reading.score
        for example, reading in zip(examples, readings, strict=True)
        if reading.score is not None
    }
    bright = [score for target, score in scores.items() if target > 50]
    dark = [score for target, score in scores.items() if target < 50]
    assert sum(bright) / len(bright) > sum(dark) / len(dark) + 15
    assert loaded.record is not None
    assert loaded.record.stage == "sft"
    assert loaded.record.tasks == ("quality",)
    assert loaded.record.numbers["token_accuracy"] > 0.8


@pytest.mark.parametrize("lora", [None, {"rank": 4, "alpha": 8, "dropout": 0.1}], ids=["full", "lora"])
def test_a_stopped_run_goes_on_to_the_same_weights(sets, tmp_path: Path, lora: dict[str, float] | None):
    settings = recipe(sets, save_steps=3, lora=lora)

    def weights(folder: Path) -> dict[str, torch.Tensor]:
        return load(folder).model.state_dict()

    whole = weights(train_sft(settings, tmp_path / "run"))
    last = last_whole_checkpoint(tmp_path / "run" / "checkpoints")
    assert last is not None
    (last / "trainer_state.json").unlink()  # as a kill in the middle of saving leaves it
    assert last_whole_checkpoint(tmp_path / "run" / "checkpoints") == last.with_name("checkpoint-3")
    again = weights(train_sft(settings, tmp_path / "run"))
    assert all(torch.allclose(whole[name], again[name], atol=1e-6) for name in whole)


def test_adapters_change_the_language_model_alone_and_are_merged(sets, tmp_path: Path):
    settings = recipe(sets, lora={"rank": 4, "alpha": 8}, optimiser={"learning_rate": 1e-2})
    before = load(start(settings, read_material(settings), tmp_path / "run").model.name_or_path).model.state_dict()
    after = load(train_sft(settings, tmp_path / "run")).model.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.allclose(before[name], after[name], atol=1e-6)}
    assert changed
    assert {name for name in changed if "visual" in name or "embed" in name or "lm_head" in name} == set()
    assert all(any(f".layers.{i}." in name for name in changed) for i in range(SIZES["layers"]))


def test_a_folder_with_another_run_is_refused(sets, tmp_path: Path):
    train_sft(recipe(sets, data=sets[:1]), tmp_path / "run")
    with pytest.raises(UserError, match=r"recipe\.seed was 42 and is 43"):
        train_sft(recipe(sets, data=sets[:1], seed=43), tmp_path / "run")


def test_a_batch_that_does_not_divide_is_refused(sets, tmp_path: Path):
    with pytest.raises(UserError, match="batch = 10 does not divide among 1 processes with device_batch = 4"):
        trainer_of(recipe(sets, batch=10), tmp_path)


def test_a_chat_longer_than_the_model_takes_is_refused(sets, tmp_path: Path):
    with pytest.raises(UserError, match="and the model takes 256"):
        trainer_of(recipe(sets, model=SIZES | {"context": 256, "max_side": 392}), tmp_path)


def test_a_chat_template_that_never_ends_a_turn_is_refused(sets, tmp_path: Path):
    settings = recipe(sets)
    material = read_material(settings)
    base = start(settings, material, tmp_path)
    base.processor.chat_template = base.processor.chat_template.replace("<|im_end|>", "")
    with pytest.raises(UserError, match="would never learn to stop"):
        make_trainer(settings, base, material, trainer_arguments(settings, len(material.draws), tmp_path))
