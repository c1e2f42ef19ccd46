"""For honesty: a plain residual network of about the same size, trained by L1 on the same crops for the same time.

    python bench/alignvar_cnn.py recipes/alignvar/nano.yaml -o runs/alignvar/cnn --max-minutes 115 --steps 20000
    python bench/alignvar_quality.py runs/alignvar/nano/model --model cnn=runs/alignvar/cnn

Residual blocks without norms, one long skip and pixel shuffle, as EDSR (arXiv 1707.02921) has them, on top of bicubic
enlarging. By default it has about as many parameters as the transformer and the decoder of `nano` together, 4.3 million
of them; a CPU takes fewer steps with so many, so `--blocks` and `--width` make it smaller where that is the fairer use
of the same minutes. Photos, crops, degradations, batch and learning rate are those of the recipe of the transformer,
and so is the number of steps that ends it, unless `--steps` lets it go on until the clock does. AdamW with a cosine
that ends with the time, and an average of the weights.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from record import RESULTS, script
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from beholder.alignvar.config import FACTOR, SIZES
from beholder.alignvar.crops import Crops, held_out_crops, read_photos
from beholder.alignvar.degrade import enlarge
from beholder.alignvar.gate import measure
from beholder.alignvar.recipe import AlignVarRecipe
from beholder.batch.files import replacing
from beholder.errors import UserError
from beholder.restore.upscaler import CPU_BATCH, GPU_BATCH, Upscaler
from beholder.training.precision import computes_bfloat16
from beholder.training.recipe import read_recipe

WEIGHTS_FILE, RESULT_FILE = "cnn.safetensors", "alignvar-cnn.json"
BLOCKS, WIDTH, TILE = 14, 120, 16
RESIDUAL = 0.1
"""Share of a block's answer, which keeps wide networks without norms stable."""
SAY_S = 30.0


class Block(nn.Module):
    """x + 0.1 conv(relu(conv(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + RESIDUAL * self.second(F.relu(self.first(x)))


class Cnn(nn.Module):
    """RGB [B, 3, h, w] in [0, 1] -> [B, 3, 4h, 4w], not clipped."""

    def __init__(self, blocks: int = BLOCKS, width: int = WIDTH) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(Block(width) for _ in range(blocks)), nn.Conv2d(width, width, 3, padding=1))
        self.up = nn.Sequential(
            nn.Conv2d(width, 4 * width, 3, padding=1),
            nn.PixelShuffle(2),
            nn.Conv2d(width, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )
        nn.init.zeros_(self.up[2].weight)  # it starts as bicubic
        nn.init.zeros_(self.up[2].bias)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.head(lr - 0.5)
        return F.interpolate(lr, scale_factor=FACTOR, mode="bicubic") + self.up(x + self.body(x))


def train(
    recipe: AlignVarRecipe,
    out: Path,
    *,
    max_minutes: float | None,
    blocks: int = BLOCKS,
    width: int = WIDTH,
    device: str = "cpu",
) -> Cnn:
    """Train on the crops of a recipe and write the averaged weights to `out`; the schedule ends with the time."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    side = recipe.model.tokeniser.tile
    photos = read_photos(recipe.photos, side)
    crops = Crops(
        photos.train,
        side,
        recipe.crops,
        length=recipe.batch * recipe.steps,
        seed=recipe.seed,
        shares=recipe.degradation,
        margin=recipe.margin,
    )
    judged = held_out_crops(photos.held_out, side, recipe.crops_per_photo, list(recipe.degradation))
    model = Cnn(blocks, width).to(device)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema or 0.0))
    settings = recipe.optimiser
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay
    )
    bf16 = recipe.bf16 and computes_bfloat16(torch.device(device).type)
    n_steps, start_s = 0, time.monotonic()
    said_s = start_s
    for step, batch in enumerate(DataLoader(crops, batch_size=recipe.batch, num_workers=recipe.loaders)):
        used = step / recipe.steps
        if max_minutes is not None:
            used = max(used, (time.monotonic() - start_s) / (60 * max_minutes))
        if used >= 1:
            break
        warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * used))
        lr, hr = batch["lr"].to(device), batch["hr"].to(device).float() / 255
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
            made = model(lr)
        loss = F.l1_loss(made.float(), hr)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimiser.step()
        average.update_parameters(model)
        n_steps += 1
        if time.monotonic() - said_s > SAY_S:
            said_s = time.monotonic()
            left = (said_s - start_s) * (1 - used) / max(used, 1e-6)
            print(f"step {n_steps:,}: loss {loss.item():.4f}, about {left / 60:.0f} min left", file=sys.stderr)
    best: Cnn = average.module.eval()
    facts: dict[str, object] = {"blocks": blocks, "width": width, "steps": n_steps, "minutes": max_minutes}
    with torch.inference_mode():
        for preset, lr in judged.lr.items():
            made = torch.cat([best(part.to(device)).clamp(0, 1).cpu() for part in lr.split(16)])
            print(f"{preset}: ours {measure(made, judged.hr, lr)}", file=sys.stderr)
            print(f"{preset}: bicubic {measure(enlarge(lr), judged.hr, lr)}", file=sys.stderr)
    save(best, out, facts)
    return best


def save(model: Cnn, out: Path, facts: dict[str, object]) -> None:
    """Weights with `facts`, among them `blocks` and `width`, as metadata."""
    out.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replacing(out / WEIGHTS_FILE) as temporary:
        save_file(state, temporary, metadata={"cnn": json.dumps(facts)})


def record(folder: Path, recipe: AlignVarRecipe, results: Path) -> Path:
    """Store what is known of weights that `save` wrote to `folder`: size, steps, minutes, what they learned from."""
    with safe_open(folder / WEIGHTS_FILE, framework="pt") as opened:
        facts = json.loads(opened.metadata()["cnn"])
        n = sum(math.prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118
    stored = {"parameters": n, **facts, "batch": recipe.batch, "threads": recipe.threads, "recipe": recipe.name}
    results.mkdir(parents=True, exist_ok=True)
    with replacing(results / RESULT_FILE) as temporary:
        temporary.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    return results / RESULT_FILE


def load_upscaler(folder: Path, device: str = "cpu") -> Upscaler:
    """A model that `save` wrote, as `beholder.upscale` takes it; at the fidelity of `nano`."""
    file = folder / WEIGHTS_FILE
    with safe_open(file, framework="pt") as opened:
        facts = json.loads((opened.metadata() or {}).get("cnn", "null"))
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (it is no mapping)
    if facts is None:
        raise UserError(f"{file} is not a network of bench/alignvar_cnn.py")
    model = Cnn(facts["blocks"], facts["width"])
    model.load_state_dict(state)
    model.to(device).eval()

    def run(tiles: NDArray[np.float32], decode: str, seed: int) -> NDArray[np.float32]:
        lr = torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))).to(device)
        with torch.inference_mode():
            return model(lr).clamp(0, 1).cpu().numpy().transpose(0, 2, 3, 1)

    return Upscaler(
        name=folder.name,
        sha256="",
        tile=TILE,
        fidelity=SIZES["nano"].fidelity,
        decode="greedy",
        device=device,
        batch_size=CPU_BATCH if device == "cpu" else GPU_BATCH,
        run=run,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, judge, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="of the transformer, such as recipes/alignvar/nano.yaml")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/alignvar/cnn"))
    parser.add_argument("--max-minutes", type=float, help="finish in this time, or before, at the number of steps")
    parser.add_argument("--steps", type=int, help="at most so many; those of the recipe if not given")
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    recipe = read_recipe(given.recipe, AlignVarRecipe, "recipes/alignvar/nano.yaml")
    if given.steps is not None:
        recipe = recipe.model_copy(update={"steps": given.steps})
    model = train(
        recipe,
        given.out,
        max_minutes=given.max_minutes,
        blocks=given.blocks,
        width=given.width,
        device=given.device,
    )
    n = sum(parameter.numel() for parameter in model.parameters())
    print(record(given.out, recipe, given.results))
    print(f"wrote {given.out / WEIGHTS_FILE}: {n / 1e6:.2f} million parameters", file=sys.stderr)


if __name__ == "__main__":
    script(main)
