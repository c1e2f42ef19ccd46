"""Training of the decoder on predicted codes: the last of three stages, ours, not the paper's.

The tokeniser's decoder has only seen true codes. Predicted ones are wrong in places, and expected ones are blurred; in
this stage the decoder learns what to make of them, with transformer, codes and Φ as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.utils.data import Dataset

from beholder.alignvar.config import AlignVarConfig
from beholder.alignvar.crops import Crops, Judged, Photos
from beholder.alignvar.decode import decoded_latent
from beholder.alignvar.folder import load, save
from beholder.alignvar.gate import measure
from beholder.alignvar.gradients import gmsd
from beholder.alignvar.learn import Lesson, Numbers, run
from beholder.alignvar.material import read_material
from beholder.alignvar.recipe import DecoderRecipe
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.train import JUDGE_BATCH, NUMBERS_FILE, Trained, measure_tiles
from beholder.alignvar.train_tokeniser import image_loss, to_signed
from beholder.alignvar.transformer import AlignVar
from beholder.errors import UserError
from beholder.language.rows import write_whole
from beholder.training.run_folder import MODEL, claim


class DecoderLesson(Lesson):
    """A tokeniser of which the decoder alone learns."""

    def __init__(self, tokeniser: Tokeniser, ema: float, gmsd_weight: float) -> None:
        tokeniser.requires_grad_(False)
        tokeniser.decoder.requires_grad_(True)
        super().__init__(tokeniser, ema)
        self.gmsd_weight = gmsd_weight

    def forward(self, hr: Tensor, lr: Tensor, fhat: Tensor) -> dict[str, Tensor]:
        """`hr` uint8 [B, 3, 4h, 4w], `lr` float32 [B, 3, h, w] in [0, 1], `fhat` [B, C, h, w] -> `loss`."""
        decoded, true = cast(Tokeniser, self.model).decode(fhat, lr).float(), to_signed(hr)
        loss = image_loss(decoded, true)
        if self.gmsd_weight:
            loss = loss + self.gmsd_weight * gmsd(decoded, true).mean()
        return {"loss": loss}


class Predicted(Dataset[dict[str, Tensor]]):
    """Crops with the latents that a transformer predicts for them, in memory; item i is crop i modulo their number."""

    def __init__(self, model: AlignVar, tokeniser: Tokeniser, crops: Crops, *, length: int) -> None:
        items = [crops[i] for i in range(len(crops))]
        self.hr, self.lr = (torch.stack([item[name] for item in items]) for name in ("hr", "lr"))
        self.fhat = predicted(model, tokeniser, self.lr)
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        which = index % len(self.hr)
        return {"hr": self.hr[which], "lr": self.lr[which], "fhat": self.fhat[which]}


def predicted(model: AlignVar, tokeniser: Tokeniser, lr: Tensor) -> Tensor:
    """Latents of LR pictures [N, 3, h, w], float32 [N, C, h, w] on the CPU; on a GPU if there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for module in (model, tokeniser):
        module.to(device)
    batches = torch.split(lr.to(device), JUDGE_BATCH)
    return torch.cat([decoded_latent(model, tokeniser, one, model.config.decode).cpu().clone() for one in batches])


def train_decoder(
    recipe: DecoderRecipe,
    out: Path,
    *,
    photos: Photos | None = None,
    max_minutes: float | None = None,
    on_line: Callable[[str], None] = lambda _: None,
) -> Trained:
    """The whole run: the model with its new decoder is left in `out/model`. A stopped run goes on.

    `photos`: those of the recipe, if they are in memory already. Raises UserError for everything that is wrong with
    recipe, model, photos or `out` before the first step.
    """
    torch.set_num_threads(recipe.threads)
    start = load(recipe.trained)
    _check(recipe, start.config)
    if recipe.decode is not None:
        start.model.config = start.config.model_copy(update={"decode": recipe.decode})
    claim(out, {**recipe.model_dump(mode="json"), "of": start.sha})
    material = read_material(recipe, photos, on_line)
    torch.manual_seed(recipe.seed)
    kept = min(recipe.crops_kept, recipe.steps * recipe.batch)
    on_line(f"predicting the codes of {kept} crops, once")
    judged = predicted(start.model, start.tokeniser, material.judged.by_turns())
    chosen = run(
        recipe,
        DecoderLesson(start.tokeniser, recipe.ema, recipe.gmsd),
        lambda n: Predicted(start.model, start.tokeniser, material.crops(kept), length=n),
        lambda one: judge(cast(Tokeniser, one), material.judged, judged),
        out,
        choose_by="gmsd",
        higher_is_better=False,
        max_minutes=max_minutes,
        on_line=on_line,
    )
    tokeniser = cast(Tokeniser, chosen)
    held_out = measure_tiles(start.model.cpu(), tokeniser, material.judged)
    numbers = {preset: {name: asdict(one) for name, one in row.items()} for preset, row in held_out.items()}
    facts = {**start.facts, "decoder": recipe.model_dump(mode="json"), "held_out": numbers}
    save(start.model, tokeniser, out / MODEL, facts=facts)
    write_whole(out / NUMBERS_FILE, json.dumps(numbers, indent=2) + "\n")
    return Trained(out / MODEL, held_out)


def judge(tokeniser: Tokeniser, judged: Judged, fhat: Tensor) -> Numbers:
    """How near the predicted latents [N, C, h, w] of held-out crops decode, each crop under one preset, by turns."""
    device, lr = next(tokeniser.parameters()).device, judged.by_turns()
    decoded = [
        tokeniser.decode(latent.to(device), small.to(device)).float().cpu()
        for latent, small in zip(torch.split(fhat, JUDGE_BATCH), torch.split(lr, JUDGE_BATCH), strict=True)
    ]
    near = measure(((torch.cat(decoded) + 1) / 2).clamp(0, 1), judged.hr, lr)
    return {"psnr": near.psnr, "gmsd": near.gmsd, "high_frequency": near.high_frequency}


def _check(recipe: DecoderRecipe, found: AlignVarConfig) -> None:
    if found.tokeniser != recipe.model.tokeniser:
        raise UserError(f"{recipe.trained} holds {found.name}, which is not of size: {recipe.size}")
