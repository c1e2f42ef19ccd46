"""Training of the transformer on photos and their degraded copies (section 8 of our spec), with a frozen tokeniser.

Left out, and why: labels of poor photos for classifier-free guidance, which is off by default and which the photos of
the recipes could not teach.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from beholder.alignvar.config import LossConfig
from beholder.alignvar.crops import Judged, Photos
from beholder.alignvar.decode import upscale_tiles
from beholder.alignvar.degrade import enlarge
from beholder.alignvar.folder import load, load_tokeniser, save
from beholder.alignvar.gate import Fidelity, measure
from beholder.alignvar.learn import Lesson, Numbers, run
from beholder.alignvar.loss import training_loss
from beholder.alignvar.material import read_material
from beholder.alignvar.recipe import AlignVarRecipe
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.train_tokeniser import STD_CROPS, latent_std, reconstruct
from beholder.alignvar.transformer import AlignVar
from beholder.errors import UserError
from beholder.language.rows import write_whole
from beholder.training.run_folder import MODEL, claim

NUMBERS_FILE = "held-out.json"
JUDGE_BATCH = 16
CEILING, BICUBIC = "tokeniser", "bicubic"
"""Names, beside the presets, of what `held-out.json` compares with: the photo through tokens, and enlarging."""


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    folder: Path
    """The model."""
    held_out: dict[str, dict[str, Fidelity]]
    """Preset -> `ours`, `tokeniser`, `bicubic` -> numbers of single held-out tiles, as decoded, without the colour fix
    and back-projection that `upscale` ends with."""


class AlignVarLesson(Lesson):
    """The transformer and, frozen, what makes its targets."""

    def __init__(self, model: AlignVar, tokeniser: Tokeniser, recipe: AlignVarRecipe) -> None:
        super().__init__(model, recipe.ema)
        self.tokeniser = tokeniser.eval().requires_grad_(False)
        self.loss = recipe.loss

    def forward(self, hr: Tensor, lr: Tensor) -> dict[str, Tensor]:
        """`hr` uint8 [B, 3, 4h, 4w], `lr` float32 [B, 3, h, w] in [0, 1] -> `loss`, `ce`, `hcc`."""
        found = training_loss(self.model, self.tokeniser, lr, hr.float() / 255, self.loss)
        return {"loss": found.total, "ce": found.ce, "hcc": found.hcc}

    def train(self, mode: bool = True) -> AlignVarLesson:
        """The tokeniser and the averages stay as they are."""
        super().train(mode)
        self.tokeniser.eval()
        return self


def train_alignvar(
    recipe: AlignVarRecipe,
    out: Path,
    *,
    photos: Photos | None = None,
    max_minutes: float | None = None,
    on_line: Callable[[str], None] = lambda _: None,
) -> Trained:
    """The whole run: the model is left in `out/model`, its numbers in `out/held-out.json`. A stopped run goes on.

    `photos`: those of the recipe, if they are in memory already. Raises UserError for everything that is wrong with
    recipe, tokeniser, photos or `out` before the first step.
    """
    torch.set_num_threads(recipe.threads)
    tokeniser = _tokeniser(recipe)
    claim(out, recipe.model_dump(mode="json"))
    material = read_material(recipe, photos, on_line)
    if (tokeniser.latent_std == 1).all():  # converted, not trained by us: nobody has measured it
        tokeniser.latent_std.copy_(latent_std(tokeniser, material.crops(STD_CROPS)))
    torch.manual_seed(recipe.seed)
    model = _start(recipe, on_line)
    chosen = run(
        recipe,
        AlignVarLesson(model, tokeniser, recipe),
        material.crops,
        lambda one: judge(cast(AlignVar, one), tokeniser, material.judged, recipe.loss),
        out,
        choose_by="ce",
        higher_is_better=False,
        max_minutes=max_minutes,
        on_line=on_line,
    )
    best = cast(AlignVar, chosen)
    held_out = measure_tiles(best, tokeniser.cpu(), material.judged)
    facts: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json"),
        "photos": len(material.photos.train),
        "held_out": {preset: {name: asdict(one) for name, one in row.items()} for preset, row in held_out.items()},
    }
    save(best, tokeniser, out / MODEL, facts=facts)
    write_whole(out / NUMBERS_FILE, json.dumps(facts["held_out"], indent=2) + "\n")
    return Trained(out / MODEL, held_out)


def judge(model: AlignVar, tokeniser: Tokeniser, judged: Judged, loss: LossConfig) -> Numbers:
    """Losses without token noise, and how near decoded tiles are; each held-out crop under one preset, by turns."""
    device = next(model.parameters()).device
    lr, hr = judged.by_turns(), judged.hr
    clean = loss.model_copy(update={"token_noise": 0.0})
    sums, decoded = torch.zeros(2), []
    for small, large in zip(torch.split(lr, JUDGE_BATCH), torch.split(hr, JUDGE_BATCH), strict=True):
        small = small.to(device)
        found = training_loss(model, tokeniser, small, large.to(device).float() / 255, clean)
        sums += len(small) * torch.stack([found.ce, found.hcc]).cpu()
        decoded.append(upscale_tiles(model, tokeniser, small, model.config.decode).cpu())
    near = measure(torch.cat(decoded), hr, lr)
    ce, hcc = (sums / len(hr)).tolist()
    return {"ce": ce, "hcc": hcc, "psnr": near.psnr, "gmsd": near.gmsd, "high_frequency": near.high_frequency}


def measure_tiles(model: AlignVar, tokeniser: Tokeniser, judged: Judged) -> dict[str, dict[str, Fidelity]]:
    """Preset -> name -> numbers of all held-out tiles: ours as decoded, photos through tokens, bicubic."""
    numbers = {}
    for preset, lr in judged.lr.items():
        tiles = [upscale_tiles(model, tokeniser, part, model.config.decode) for part in torch.split(lr, JUDGE_BATCH)]
        ceiling = reconstruct(tokeniser, judged.hr, lr)
        restored = {"ours": torch.cat(tiles), CEILING: ceiling, BICUBIC: enlarge(lr)}
        numbers[preset] = {name: measure(picture, judged.hr, lr) for name, picture in restored.items()}
    return numbers


def _tokeniser(recipe: AlignVarRecipe) -> Tokeniser:
    tokeniser = load_tokeniser(recipe.tokeniser)
    if tokeniser.config != recipe.model.tokeniser:
        raise UserError(
            f"the tokeniser in {recipe.tokeniser} has the scales {list(tokeniser.config.scales)} and "
            f"{tokeniser.config.codes} codes; size: {recipe.size} needs {list(recipe.model.tokeniser.scales)} and "
            f"{recipe.model.tokeniser.codes}. Train one with beholder train alignvar-tokenizer and the same size"
        )
    return tokeniser


def _start(recipe: AlignVarRecipe, on_line: Callable[[str], None]) -> AlignVar:
    if recipe.start is None:
        return AlignVar(recipe.model)
    started = load(recipe.start)
    ours, theirs = recipe.model, started.config
    for part in ("tokeniser", "transformer", "sca"):
        if getattr(ours, part) != getattr(theirs, part):
            raise UserError(f"{recipe.start} holds {theirs.name}, whose {part} is not that of this recipe, {ours.name}")
    on_line(f"starting from {recipe.start}")
    return started.model.requires_grad_(True)
