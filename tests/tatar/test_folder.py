import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

from beholder.errors import UserError
from beholder.tatar.config import TinyConfig
from beholder.tatar.folder import RECORD_FILE, LearnedFrom, Loaded, Record, load, save
from beholder.tatar.prompts import PROMPTS
from beholder.tatar.tiny import make_tiny

SMALL = TinyConfig(width=32, layers=1, vision_width=32, vision_layers=1, max_side=56, vocabulary=700)
RECORD = Record(
    stage="sft",
    base="tiny",
    data=(LearnedFrom(name="toy", task="quality", low=1, high=5, n=12, sha256="0" * 64),),
    seed=7,
    numbers={"steps": 3},
)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("base") / "model", SMALL)


@pytest.fixture
def copy(base: Path, tmp_path: Path) -> Path:
    """A copy of the base that a test may damage."""
    return shutil.copytree(base, tmp_path / "copy")


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load(folder)
    return str(caught.value)


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)


def test_what_is_saved_comes_back(base: Path, tmp_path: Path):
    loaded = load(base)
    assert loaded.record is None
    save(tmp_path / "out", Loaded(loaded.model, loaded.processor, RECORD))
    again = load(tmp_path / "out")
    assert again.record == RECORD
    assert again.record.tasks == ("quality",)
    assert again.record.data[0].range.to_unit(5) == 1
    assert same(loaded.model, again.model)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_saving_replaces_an_earlier_checkpoint(base: Path, tmp_path: Path):
    loaded = load(base)
    for seed in (1, 2):
        save(tmp_path / "out", Loaded(loaded.model, loaded.processor, RECORD.model_copy(update={"seed": seed})))
    assert Record.read(tmp_path / "out").seed == 2


def test_adapters_are_merged_when_saved_and_when_loaded(base: Path, tmp_path: Path):
    loaded = load(base)
    torch.manual_seed(0)
    adapted = get_peft_model(loaded.model, LoraConfig(target_modules=["q_proj"], init_lora_weights=False))
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(tmp_path / "adapter")
    loaded.processor.save_pretrained(tmp_path / "adapter")
    assert not same(load(base).model, load(tmp_path / "adapter").model)
    save(tmp_path / "merged", Loaded(adapted, loaded.processor, RECORD))
    assert same(load(tmp_path / "merged").model, load(tmp_path / "adapter").model)


def test_limits_of_pixels_are_kept_in_the_checkpoint(base: Path, tmp_path: Path):
    loaded = load(base, pixels=(784, 1568))
    save(tmp_path / "out", Loaded(loaded.model, loaded.processor, RECORD))
    assert dict(load(tmp_path / "out").processor.image_processor.size) == {"shortest_edge": 784, "longest_edge": 1568}


def test_other_prompts_are_refused_unless_allowed(copy: Path):
    (copy / RECORD_FILE).write_text(RECORD.model_copy(update={"prompts": "f" * 64}).model_dump_json())
    message = refused(copy)
    assert "ffffffffffff" in message
    assert PROMPTS.digest[:12] in message
    assert "--allow-prompt-mismatch" in message
    assert load(copy, allow_prompt_mismatch=True).record is not None


def test_a_folder_that_is_no_checkpoint_says_what_is_missing(copy: Path, tmp_path: Path):
    with pytest.raises(UserError, match=f"has no {RECORD_FILE}"):
        Record.read(copy)
    assert "can't be loaded" in refused(tmp_path / "nowhere")
    (copy / RECORD_FILE).write_text(RECORD.model_dump_json().replace('"sft"', '"dpo"'))
    assert "stage: Input should be 'sft' or 'grpo'" in refused(copy)


def test_a_model_of_text_alone_is_refused(copy: Path, tmp_path: Path):
    text = Qwen2ForCausalLM(
        Qwen2Config(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=1, vocab_size=64)
    )
    text.save_pretrained(tmp_path / "text")
    load(copy).processor.save_pretrained(tmp_path / "text")  # someone else's processor does not make it one
    assert "is a qwen2, not a vision-language model" in refused(tmp_path / "text")


def test_a_model_without_a_chat_template_is_refused(copy: Path):
    (copy / "chat_template.jinja").unlink()
    assert "has no chat template" in refused(copy)


def test_missing_and_truncated_weights_are_refused(copy: Path):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert "can't be loaded" in refused(copy)
    config = json.loads((copy / "config.json").read_text())
    make_tiny(copy, SMALL)
    config["text_config"]["num_hidden_layers"] = 2
    config["text_config"].pop("layer_types", None)
    (copy / "config.json").write_text(json.dumps(config))
    assert "of its weights" in refused(copy)
