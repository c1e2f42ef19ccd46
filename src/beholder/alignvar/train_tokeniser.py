"""Training of a tokeniser on photos (sections 3 and 12 of our spec), chosen and judged on held-out crops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from beholder.alignvar.adversary import Discriminator, fooling_loss, hinge_loss
from beholder.alignvar.codebook import EmaCodebook
from beholder.alignvar.crops import Crops, Judged, Photos
from beholder.alignvar.degrade import enlarge, shrink
from beholder.alignvar.folder import save_tokeniser
from beholder.alignvar.gate import Gate, measure, tokeniser_gate
from beholder.alignvar.learn import Lesson, Numbers, run
from beholder.alignvar.material import read_material
from beholder.alignvar.recipe import TokeniserRecipe
from beholder.alignvar.tokeniser import Tokeniser, TokeniserOutput
from beholder.training.run_folder import MODEL, claim

GATE_FILE = "gate.json"
GRADIENT_WEIGHT = 0.5
JUDGE_BATCH = 32
STD_CROPS = 512


class TokeniserLesson(Lesson):
    """A tokeniser, its codebook's averages and its adversary if it has one."""

    def __init__(self, recipe: TokeniserRecipe) -> None:
        tokeniser = Tokeniser(recipe.model.tokeniser)
        super().__init__(tokeniser, recipe.ema)
        self.recipe = recipe
        self.book = EmaCodebook(tokeniser, decay=recipe.codebook_decay)
        self.adversary = None if recipe.adversary is None else Discriminator(recipe.adversary.width)
        self._output: TokeniserOutput | None = None

    @property
    def tokeniser(self) -> Tokeniser:
        """What is trained."""
        return cast(Tokeniser, self.model)

    def forward(self, hr: Tensor, lr: Tensor) -> dict[str, Tensor]:
        """`hr` uint8 [B, 3, 4h, 4w], `lr` float32 [B, 3, h, w] in [0, 1] -> losses.

        Those are `loss`, the one to be lowered, `image`, `vq`, `used`, and those of the adversary.
        """
        photos = to_signed(hr)
        n_scales = None
        if float(torch.rand(())) < self.recipe.drop_scales:
            n_scales = int(torch.randint(1, len(self.tokeniser.config.scales), ()))
        blend = max(0.0, 1 - self.step / self.recipe.blend_steps) if self.recipe.blend_steps else 0.0
        output = cast(TokeniserOutput, self.tokeniser(photos, lr, n_scales=n_scales, blend=blend))
        self._output = output
        image = image_loss(output.picture.float(), photos)
        parts = {"image": image, "vq": output.vq_loss, "used": self.book.used()}
        loss = image + output.vq_loss
        if self.adversary is not None:
            adversarial, parts["hinge"] = self._duel(output.picture, photos)
            loss = loss + adversarial + parts["hinge"]
        return {"loss": loss, **parts}

    def after_step(self) -> None:
        """The codebook follows the batch."""
        assert self._output is not None
        self.book.update(self.tokeniser, self._output)
        self._output = None
        super().after_step()

    def _duel(self, decoded: Tensor, photos: Tensor) -> tuple[Tensor, Tensor]:
        config, adversary = self.recipe.adversary, self.adversary
        assert config is not None
        assert adversary is not None
        takes_part = float(self.progress >= config.start)  # computed either way: every parameter has a gradient
        fooling = takes_part * config.weight * fooling_loss(adversary, decoded)
        return fooling, takes_part * hinge_loss(adversary, decoded, photos)


def image_loss(decoded: Tensor, photos: Tensor) -> Tensor:
    """L1 + 0.5 L1 of the differences between neighbours, across and down; both [B, 3, H, W]."""
    error = decoded - photos
    across, down = error.diff(dim=3).abs().mean(), error.diff(dim=2).abs().mean()
    return error.abs().mean() + GRADIENT_WEIGHT * (across + down)


def train_tokeniser(
    recipe: TokeniserRecipe,
    out: Path,
    *,
    photos: Photos | None = None,
    max_minutes: float | None = None,
    on_line: Callable[[str], None] = lambda _: None,
) -> Gate:
    """The whole run: the tokeniser is left in `out/model`, its gate in `out/gate.json`. A stopped run goes on.

    `photos`: those of the recipe, if they are in memory already. Raises UserError for everything that is wrong with
    recipe, photos or `out` before the first step.
    """
    torch.set_num_threads(recipe.threads)
    claim(out, recipe.model_dump(mode="json"))
    material = read_material(recipe, photos, on_line)
    torch.manual_seed(recipe.seed)
    chosen = run(
        recipe,
        TokeniserLesson(recipe),
        material.crops,
        lambda model: judge(cast(Tokeniser, model), material.judged),
        out,
        choose_by="psnr",
        higher_is_better=True,
        max_minutes=max_minutes,
        on_line=on_line,
    )
    tokeniser = cast(Tokeniser, chosen)
    tokeniser.latent_std.copy_(latent_std(tokeniser, material.crops(STD_CROPS)))
    hr = material.judged.hr
    lr = shrink(hr.float() / 255)
    gate = tokeniser_gate(measure(reconstruct(tokeniser, hr, lr), hr), measure(enlarge(lr), hr))
    save_tokeniser(tokeniser, out / MODEL)
    gate.write(out / GATE_FILE)
    return gate


def judge(tokeniser: Tokeniser, judged: Judged) -> Numbers:
    """Numbers of held-out crops, each under one preset, by turns: through codes, and `continuous` without them."""
    hr, lr = judged.hr, judged.by_turns()
    coded = measure(reconstruct(tokeniser, hr, lr), hr)
    continuous = measure(reconstruct(tokeniser, hr, lr, continuous=True), hr)
    return {
        "psnr": coded.psnr,
        "gmsd": coded.gmsd,
        "high_frequency": coded.high_frequency,
        "psnr_continuous": continuous.psnr,
    }


@torch.no_grad()
def reconstruct(tokeniser: Tokeniser, hr: Tensor, lr: Tensor, *, continuous: bool = False) -> Tensor:
    """Pictures, uint8 [N, 3, H, W], to codes and back: float32 in [0, 1] on the CPU. `continuous` skips the codes.

    `lr`: their small copies, float32 [N, 3, H / 4, W / 4] in [0, 1], which an anchored tokeniser reads.
    """
    device = next(tokeniser.parameters()).device
    decoded = []
    for large, small in zip(torch.split(hr, JUDGE_BATCH), torch.split(lr.to(device), JUDGE_BATCH), strict=True):
        z = tokeniser.encode(to_signed(large.to(device)), small)
        decoded.append(tokeniser.decode(z if continuous else tokeniser.quantise(z).fhats[-1], small).float().cpu())
    return ((torch.cat(decoded) + 1) / 2).clamp(0, 1)


@torch.no_grad()
def latent_std(tokeniser: Tokeniser, crops: Crops) -> Tensor:
    """Standard deviation of each latent channel over training crops: float32 [C]."""
    items = [crops[index] for index in range(len(crops))]
    hr, lr = (torch.split(torch.stack([item[name] for item in items]), JUDGE_BATCH) for name in ("hr", "lr"))
    latents = torch.cat([tokeniser.encode(to_signed(large), small) for large, small in zip(hr, lr, strict=True)])
    return latents.transpose(0, 1).flatten(1).std(dim=1).float()


def to_signed(rgb: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return rgb.float() / 127.5 - 1
