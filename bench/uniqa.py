"""The exported UniQA scorer beside the published way to run it, on the same pictures in one run.

    python bench/uniqa.py [--count 40] [--quick]

Published way: ten random 224-pixel crops per picture through CLIP ViT-B/16 in torch, the level prompts encoded again
for every picture. Ours: the same weights through `beholder export`, then `beholder.load(...).score(path)`. Both read
the JPEG, both have `THREADS` threads, and they take turns picture by picture, so that whatever else the machine does
slows both. Weights are random, for the published ones can't be had here: that changes no speed. How well fixed views
stand for random crops takes trained weights: `uniqa_agreement.py` measures it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np
import torch
from pictures import photos
from PIL import Image
from record import RESULTS, Table, at_least, busy_share, publish, script
from tokenizers import Tokenizer, models, processors
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

import beholder
from beholder.uniqa.crops import resize_short
from beholder.uniqa.export import export
from beholder.uniqa.head import level_score
from beholder.uniqa.model import Uniqa
from beholder.uniqa.prompts import GROUPS

THREADS = 2
CROPS = 10
SIZE = (512, 384)
"""Width and height of the pictures, as the published runs on KonIQ-10k have them."""

CONTEXT = 77
FASTER = 5.0
"""Times as many pictures per second, at least; what is promised."""

EXPORTS = {"5 views": (5, False), "5 views, int8": (5, True), "6 views, int8": (6, True)}
"""Number of views, and whether in eight bits."""

PROMISED = "5 views, int8"

GAIN = 2.0
"""Random matrices are enlarged by this: as they start, all pictures look alike to them."""

TOWER = {"intermediate_size": 2048, "hidden_size": 512, "num_hidden_layers": 12, "num_attention_heads": 8}
VISION = {"intermediate_size": 3072, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
VIT_B_16 = CLIPConfig(
    projection_dim=512,
    text_config={**TOWER, "vocab_size": 49408, "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407},
    vision_config={**VISION, "patch_size": 16, "image_size": 224},
)


@dataclass(frozen=True)
class Run:
    """One contender on all pictures."""

    seconds: float
    scores: np.ndarray


def random_model(config: CLIPConfig = VIT_B_16) -> Uniqa:
    """A model with random weights and an adapter. Its tokenizer knows the level prompts, each as one word."""
    torch.manual_seed(0)
    words = {prompt: 1000 + n for n, prompt in enumerate(GROUPS["quality"])}
    start, end = config.text_config.bos_token_id, config.text_config.eos_token_id
    tokenizer = Tokenizer(models.WordLevel(words | {"<start>": start, "<end>": end}, unk_token="<end>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", start), ("<end>", end)]
    )
    known = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<end>", unk_token="<end>", eos_token="<end>")
    encoder = CLIPModel(config)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(GAIN)
        encoder.logit_scale.fill_(log(100))  # as in published CLIPs
    model = Uniqa.start(encoder, known, {"quality": ("quality",)}).eval()
    model.adapt("quality")
    return model


class TenCrops:
    """The published way, on the weights of `model`."""

    def __init__(self, model: Uniqa, seed: int) -> None:
        self.model, self.rng = model, np.random.default_rng(seed)
        tokens = model.tokenize(GROUPS["quality"])
        context = min(CONTEXT, model.encoder.config.text_config.max_position_embeddings)
        self.tokens = torch.zeros(len(tokens), context, dtype=torch.long)  # always full, as OpenAI's tokenizer pads
        self.tokens[:, : tokens.shape[1]] = tokens

    @torch.inference_mode()
    def __call__(self, path: Path) -> float:
        """Score of a picture, raw."""
        rgb = np.asarray(Image.open(path).convert("RGB"))
        side, short = self.model.config.side, self.model.config.tasks["quality"].short
        if short is not None and min(rgb.shape[:2]) > short:
            rgb = resize_short(rgb, short)
        corners = self.rng.integers(0, [rgb.shape[0] - side + 1, rgb.shape[1] - side + 1], size=(CROPS, 2))
        crops = np.stack([rgb[y : y + side, x : x + side] for y, x in corners])
        pixels = self.model.normalise(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255)
        image = self.model.adapted(self.model.encode_image(pixels), "quality")
        text = self.model.encode_tokens(self.tokens)[None]
        return level_score(image, text, self.model.encoder.logit_scale, self.model.levels["quality"]).mean().item()


def exported(model: Uniqa, folder: Path, views: int, int8: bool) -> Callable[[Path], float]:
    """The same model through `beholder export`: a path in, a score of 0 to 100 out."""
    export(model, folder, name="uniqa", views=views, int8=int8, tasks=["quality"])
    loaded = beholder.load(folder, threads=THREADS)

    def score(path: Path) -> float:
        found = loaded.score(path).quality
        assert found is not None
        return found

    return score


def take_turns(contenders: dict[str, Callable[[Path], float]], files: Sequence[Path]) -> dict[str, Run]:
    """Every contender on every picture, one after the other; a first picture that is not counted warms them up."""
    for score in contenders.values():
        score(files[0])
    seconds = dict.fromkeys(contenders, 0.0)
    scores: dict[str, list[float]] = {name: [] for name in contenders}
    for path in files:
        for name, score in contenders.items():
            start = time.perf_counter()
            scores[name].append(score(path))
            seconds[name] += time.perf_counter() - start
    return {name: Run(seconds[name], np.array(scores[name])) for name in contenders}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="6 pictures: whether it runs, not how fast")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    count = 6 if given.quick else given.count
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory(prefix="beholder-bench-") as name:
        scratch = Path(name)
        files = photos(scratch / "pictures", count, SIZE)
        model = random_model()
        ours = {name: exported(model, scratch / name, *how) for name, how in EXPORTS.items()}
        busy = busy_share()
        runs = take_turns({"10 crops": TenCrops(model, 1)} | ours, files)
    reference_s = runs.pop("10 crops").seconds
    rows = [["torch, 10 random crops", f"{count / reference_s:.2f}", "1x"]]
    for name, run in runs.items():
        rows.append([f"beholder, {name}", f"{count / run.seconds:.2f}", f"{reference_s / run.seconds:.1f}x"])
    publish(
        "uniqa",
        f"UniQA on CLIP ViT-B/16 with random weights, {count} JPEGs of {SIZE[0]} x {SIZE[1]} px, {THREADS} threads",
        Table(["", "pictures/s", "times as fast"], rows),
        measured={
            "n": count,
            "weights": "random",
            "seconds": {"10 crops": reference_s} | {name: run.seconds for name, run in runs.items()},
        },
        limits=[at_least(f"times as fast as 10 crops ({PROMISED})", reference_s / runs[PROMISED].seconds, FASTER)],
        notes=["Text is encoded again for every picture in the first row, five prompts of 77 tokens."],
        busy_before=busy,
        folder=given.results,
    )


if __name__ == "__main__":
    script(main)
