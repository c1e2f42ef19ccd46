from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, processors
from transformers import PreTrainedTokenizerFast

from beholder.uniqa.prompts import GROUPS


@pytest.fixture(scope="session")
def word_tokenizer() -> PreTrainedTokenizerFast:
    """Every prompt is one word: 10 to 14 those of the group `quality`, as in the spec's fixture; 1 begins, 99 ends."""
    prompts = list(dict.fromkeys(prompt for group in GROUPS.values() for prompt in group))
    words = {"<pad>": 0, "<start>": 1, "<unk>": 2, "<end>": 99} | {text: 10 + n for n, text in enumerate(prompts)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 99)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", bos_token="<start>", eos_token="<end>"
    )


@pytest.fixture(scope="session")
def tokenizer_folder(word_tokenizer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    word_tokenizer.save_pretrained(folder)
    return folder
