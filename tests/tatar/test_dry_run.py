import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip("trl")

from rated_pictures import write_rated, write_rationales
from transformers import AutoConfig, AutoModelForImageTextToText, Qwen2_5_VLConfig

from beholder.cli import main
from beholder.errors import UserError
from beholder.tatar.config import LoraConfig, SftRecipe
from beholder.tatar.dry_run import dry_run_grpo, dry_run_sft
from beholder.tatar.estimate import GPUS, Work, learning_flops, memory_gib, sizes_of, step_seconds
from beholder.tatar.grpo_config import GrpoRecipe
from beholder.tatar.tiny import make_tiny

RECIPES = Path(__file__).parents[2] / "recipes/tatar"


@pytest.fixture(scope="module")
def qwen_7b():
    """The published architecture; nothing is downloaded."""
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 128000,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        },
        vision_config={"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
                       "out_hidden_size": 3584, "patch_size": 14, "spatial_merge_size": 2, "window_size": 112},
        tie_word_embeddings=False,
    )  # fmt: skip


def work(**more):
    settings = {"chats": 16, "rows": 4, "prompt": 2100, "visual": 2000, "answer": 200, "all_logits": True}
    return Work(**settings | more)


def test_the_large_model_is_counted_as_published_and_takes_no_memory(qwen_7b):
    sizes = sizes_of(qwen_7b, 64)
    assert sizes.total == 8_292_166_656
    assert sizes.cached == 2 * 4 * 128
    assert sizes.vision == pytest.approx(0.677e9, rel=0.01)
    assert sizes.adapters == pytest.approx(161.5e6, rel=0.01)
    assert sizes_of(qwen_7b, None).learned == sizes.total


def test_a_small_model_is_counted_as_it_is(tmp_path):
    folder = make_tiny(tmp_path / "tiny")
    model = AutoModelForImageTextToText.from_pretrained(folder)
    assert sizes_of(AutoConfig.from_pretrained(folder), None).total == model.num_parameters()


def test_adapters_fit_one_gpu_and_all_weights_need_eight(qwen_7b):
    lora, full = sizes_of(qwen_7b, 64), sizes_of(qwen_7b, None)
    assert sum(memory_gib(lora, work(rows=2, half=True), 1).values()) < 0.95 * GPUS[0].gib
    assert sum(memory_gib(full, work(), 1).values()) > GPUS[-1].gib
    assert sum(memory_gib(full, work(), 8).values()) < 0.95 * GPUS[0].gib


def test_what_costs_more_is_said_to_cost_more(qwen_7b):
    sizes, gpu = sizes_of(qwen_7b, 64), GPUS[0]
    base = work()
    assert learning_flops(sizes, work(chats=32)) == 2 * learning_flops(sizes, base)
    assert learning_flops(sizes, work(checkpointing=False)) < learning_flops(sizes, base)
    assert learning_flops(sizes_of(qwen_7b, None), base) > learning_flops(sizes, base)
    assert learning_flops(sizes, work(reference=True)) > learning_flops(sizes, base)
    assert step_seconds(sizes, work(drawn=16, pictures=2), gpu) > step_seconds(sizes, base, gpu)
    memory = memory_gib(sizes, base, 1)
    assert memory_gib(sizes, work(rows=8), 1)["logits"] == 2 * memory["logits"]
    assert memory_gib(sizes, work(checkpointing=False), 1)["activations"] > 5 * memory["activations"]
    assert memory_gib(sizes, work(all_logits=False), 1)["logits"] < memory["logits"] / 5


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    found = []
    for task in ("quality", "aesthetics"):
        manifest = write_rated(root / task, task, n_train=8)
        file = write_rationales(manifest, root / f"{task}.jsonl")
        found.append({"manifest": root / task, "rationales": file})
    return found


def test_a_dry_run_of_sft_says_data_chat_memory_and_time_and_trains_nothing(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = dry_run_sft(SftRecipe(name="t", model={}, data=data, batch=4, device_batch=2, bf16=False))
    assert lines[0] == "data: 8 pictures of quality, 8 pictures of aesthetics; 5 steps of 4"
    assert "of them 2 the picture" in lines[1]
    assert [line.split(":")[0] for line in lines[3:7]] == [
        "memory per GPU", "1 x A100 80 GB", "1 x H100 80 GB", "1 x H200 141 GB"
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_grpo_refuses_what_the_run_would_refuse(data, tmp_path):
    model = str(make_tiny(tmp_path / "tiny"))
    recipe = GrpoRecipe(name="t", model=model, data=data, pictures=8, group=4, steps=3, lora=LoraConfig(rank=4))
    lines = dry_run_grpo(recipe)
    assert "3 steps of 8 pictures x 4 completions of at most 512 tokens" in lines[0]
    assert "(LoRA of rank 4)" in lines[2]
    with pytest.raises(UserError, match="4 at least are needed to rank"):
        dry_run_grpo(recipe.model_copy(update={"pictures": 4}))
    with pytest.raises(UserError, match="does not divide among 3 devices"):
        dry_run_grpo(recipe, 3)


def test_the_command_prints_the_estimate_and_leaves_nothing(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sets = [{name: str(path) for name, path in one.items()} for one in data]
    recipe = {"name": "t", "model": {}, "data": sets, "batch": 4, "device_batch": 2, "bf16": False}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert main(["train", "tatar-sft", "recipe.yaml", "--dry-run", "--gpus", "2"]) == 0
    assert "2 x A100 80 GB: about" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]
    assert main(["train", "tatar-sft", "recipe.yaml", "--gpus", "2"]) == 1
    assert "--gpus 2 goes with --dry-run" in capsys.readouterr().err


def test_a_model_without_a_processor_is_refused(data, tmp_path):
    with pytest.raises(UserError, match="image-text-to-text"):
        dry_run_sft(SftRecipe(name="t", model=str(tmp_path), data=data, batch=4, device_batch=2))


@pytest.mark.parametrize("scale", ["lora", "zero3"])
def test_recipes_at_paper_scale_are_those_of_the_spec(scale):
    sft = SftRecipe.model_validate(yaml.safe_load((RECIPES / f"sft-qwen2.5-vl-7b-{scale}.yaml").read_text()))
    grpo = GrpoRecipe.model_validate(yaml.safe_load((RECIPES / f"grpo-qwen2.5-vl-7b-{scale}.yaml").read_text()))
    assert (sft.batch, sft.epochs, sft.quality_share, sft.seed, sft.pixels) == (128, 1, 0.5, 42, (3136, 1572864))
    assert (grpo.pictures, grpo.group, grpo.steps, grpo.beta, grpo.clip, grpo.seed) == (16, 8, 1000, 0.001, 0.2, 42)
    assert grpo.sampling.max_tokens == 512
    assert grpo.model == f"runs/tatar/{sft.name}/model"
    assert (sft.lora is None, grpo.lora is None) == (scale == "zero3",) * 2
    devices = 8 if scale == "zero3" else 1
    assert sft.batch % (devices * sft.device_batch) == 0
    assert grpo.pictures // devices * grpo.group % grpo.device_batch == 0


def test_the_small_recipes_follow_each_other_and_take_minutes(data, tmp_path):
    sft = SftRecipe.model_validate(yaml.safe_load((RECIPES / "sft-small.yaml").read_text()))
    grpo = GrpoRecipe.model_validate(yaml.safe_load((RECIPES / "grpo-small.yaml").read_text()))
    assert grpo.model == f"runs/tatar/{sft.name}/model"
    assert grpo.data == sft.data
    model = make_tiny(tmp_path / "model", sft.model)
    lines = dry_run_grpo(GrpoRecipe.model_validate(grpo.model_dump() | {"model": str(model), "data": data}))
    found = re.fullmatch(r"1 x A100 80 GB: about (\d+) min", lines[4])
    assert found
    assert int(found[1]) <= 25
    assert "it does not fit" not in " ".join(dry_run_sft(SftRecipe.model_validate(sft.model_dump() | {"data": data})))
