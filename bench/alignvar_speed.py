"""Ten-step decoding beside a latent diffusion upscaler of the published size, on one machine in one run.

    python bench/alignvar_speed.py                       # CPU: both of them, every width divided by four
    python bench/alignvar_speed.py --device cuda         # the published sizes
    python bench/alignvar_speed.py --device cuda --compile
    python bench/alignvar_speed.py --ours --compile      # variants of ours alone

A picture of 512 x 512 px from one of 128 x 128 px, random weights, which change no speed. AlignVAR is `alignvar-d24`,
greedy. The other one is what StableSR (arXiv 2305.07015) runs 200 times per picture, from `diffusers`: the U-Net of
Stable Diffusion 2.1 over a 64 x 64 latent, its autoencoder once each way, its text encoder once. StableSR's own
encoder of the LR picture, which runs at every step too, is left out, in its favour. Every contender has a process of
its own, so that peak memory is its own. Needs `pip install '.[train]' diffusers`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from record import RESULTS, Table, at_least, at_most, busy_share, publish, script
from torch import Tensor

from beholder.alignvar.config import SIZES, AlignVarConfig
from beholder.alignvar.decode import upscale_tiles
from beholder.alignvar.pyramid import area, tokens_of
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.transformer import AlignVar
from beholder.training.precision import computes_bfloat16

FASTER = 10.0
"""Times as fast, at least: what the paper says."""
SHARE = 0.85
"""Of the diffusion upscaler's parameters, at most; the paper compares 1,056.5 million with 1,409.1 and 1,900.4."""

STEPS = 200
"""U-Net runs per picture, StableSR's."""
UNET_WIDTHS, VAE_WIDTHS, TEXT_WIDTH, TEXT_LAYERS, TEXT_TOKENS = (
    (320, 640, 1280, 1280),
    (128, 256, 512, 512),
    1024,
    23,
    77,
)

NARROWER = 4
"""What every width is divided by on a CPU."""

Upscale = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Contender:
    """Who runs, and how."""

    name: str
    kind: str
    """`alignvar`, `alignvar, no cache` or `diffusion`."""
    bf16: bool = False
    compiled: bool = False
    batch: int = 1


@dataclass(frozen=True)
class Measured:
    """One contender's run."""

    parameters: int
    passes: int
    """Runs of the large network per picture."""
    seconds: float
    """Per picture, median."""
    peak_mb: float


def alignvar(narrower: int, *, cached: bool) -> tuple[Upscale, list[torch.nn.Module], int]:
    """d24 with widths divided by `narrower`: the function, its networks, passes per picture."""
    config = d24(narrower)
    model, tokeniser = AlignVar(config).eval(), Tokeniser(config.tokeniser).eval()

    def run(lr: Tensor) -> Tensor:
        return upscale_tiles(model, tokeniser, lr, "greedy") if cached else _uncached(model, tokeniser, lr)

    return run, [model, tokeniser], len(config.tokeniser.scales)


def d24(narrower: int) -> AlignVarConfig:
    """The published shape; the tokeniser's narrowest widths stay multiples of GroupNorm's 32."""
    full = SIZES["d24"]
    if narrower == 1:
        return full
    t = full.transformer
    return full.model_copy(
        update={
            "tokeniser": full.tokeniser.model_copy(
                update={"channels": tuple(max(32, c // narrower // 32 * 32) for c in full.tokeniser.channels)}
            ),
            "transformer": t.model_copy(
                update={"width": t.width // narrower, "lr_channels": tuple(c // narrower for c in t.lr_channels)}
            ),
        }
    )


def diffusion(narrower: int, steps: int = STEPS) -> tuple[Upscale, list[torch.nn.Module], int]:
    """The latent diffusion upscaler, likewise."""
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    text_width = TEXT_WIDTH // narrower
    unet = UNet2DConditionModel(
        sample_size=64,
        block_out_channels=tuple(c // narrower for c in UNET_WIDTHS),
        attention_head_dim=(5, 10, 20, 20),
        cross_attention_dim=text_width,
        norm_num_groups=32 if narrower == 1 else 16,
        use_linear_projection=True,
    ).eval()
    n_levels = len(VAE_WIDTHS)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * n_levels,
        up_block_types=("UpDecoderBlock2D",) * n_levels,
        block_out_channels=tuple(max(32, c // narrower) for c in VAE_WIDTHS),
        layers_per_block=2,
        latent_channels=4,
    ).eval()
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=text_width,
            intermediate_size=4 * text_width,
            num_hidden_layers=TEXT_LAYERS,
            num_attention_heads=16,
            max_position_embeddings=TEXT_TOKENS,
        )
    ).eval()
    scheduler = DDPMScheduler(prediction_type="v_prediction")

    @torch.inference_mode()
    def run(lr: Tensor) -> Tensor:
        prompt = torch.zeros(len(lr), TEXT_TOKENS, dtype=torch.long, device=lr.device)
        seen = text(prompt).last_hidden_state
        latent = vae.encode(2 * F.interpolate(lr, scale_factor=4, mode="bicubic") - 1).latent_dist.mean
        scheduler.set_timesteps(steps, device=lr.device)
        latent = torch.randn_like(latent)
        for t in scheduler.timesteps:
            latent = scheduler.step(unet(latent, t, encoder_hidden_states=seen).sample, t, latent).prev_sample
        return ((vae.decode(latent).sample + 1) / 2).clamp(0, 1)

    return run, [unet, vae, text], steps


@torch.inference_mode()
def _uncached(model: AlignVar, tokeniser: Tokeniser, lr: Tensor) -> Tensor:
    """Greedy decoding where every scale computes all tokens before it again."""
    inputs: list[Tensor] = []
    fhat = torch.zeros(())
    for k, side in enumerate(model.scales):
        if k:
            inputs.append(tokens_of(area(fhat, side)))
        logits, state = model.begin(lr)
        for scale, tokens in enumerate(inputs, 1):
            logits = model.step(tokens, scale, state)
        step = tokeniser.pyramid.contribution(tokeniser.pyramid.codes_of(logits.argmax(-1)), k)
        fhat = fhat.to(step.device) + step
    return ((tokeniser.decode(fhat) + 1) / 2).clamp(0, 1)


def measure(contender: Contender, device: str, narrower: int, repeats: int, threads: int, steps: int) -> Measured:
    """Run one contender in this process, a first time uncounted. 200 steps on a CPU, where they take minutes, run once;
    the first of them is nothing beside the others."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if contender.kind == "diffusion":
        upscale, networks, passes = diffusion(narrower, steps)
    else:
        upscale, networks, passes = alignvar(narrower, cached=contender.kind == "alignvar")
    for network in networks:
        network.to(device)
        for part in called_parts(network) if contender.compiled else ():
            part.compile(dynamic=True)
    lr = torch.rand(contender.batch, 3, 128, 128, device=device)
    on_gpu = torch.device(device).type == "cuda"

    def once() -> float:
        start = time.perf_counter()
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=contender.bf16):
            large = upscale(lr)
        assert large.shape[-2:] == (512, 512)
        if on_gpu:
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / contender.batch

    long = contender.kind == "diffusion" and not on_gpu
    if not long:
        once()
    seconds = statistics.median(once() for _ in range(1 if long else repeats))
    peak = torch.cuda.max_memory_allocated() / 1e6 if on_gpu else _peak_rss_mb()
    return Measured(sum(p.numel() for network in networks for p in network.parameters()), passes, seconds, peak)


def called_parts(network: torch.nn.Module) -> list[torch.nn.Module]:
    """What upscaling really calls: of our transformer its blocks, of both autoencoders the decoder; else the whole."""
    if isinstance(network, AlignVar):
        return list(network.blocks)
    decoder = getattr(network, "decoder", None)
    return [network] if decoder is None else [decoder]


def contenders(device: str, compiled: bool) -> list[Contender]:
    """The two to compare first, then variants of ours; bfloat16 where the device has instructions for it."""
    found = [Contender("latent diffusion", "diffusion"), Contender("AlignVAR", "alignvar")]
    found.append(Contender("AlignVAR, no key/value cache", "alignvar, no cache"))
    kind = torch.device(device).type
    bf16 = computes_bfloat16(kind)
    word = ", bf16" if bf16 else ""
    if bf16:
        found.append(Contender("AlignVAR, bf16", "alignvar", bf16=True))
    if bf16 and kind == "cuda":
        found.append(Contender("latent diffusion, bf16", "diffusion", bf16=True))
    if compiled:
        found.append(Contender(f"AlignVAR{word}, compiled", "alignvar", bf16=bf16, compiled=True))
        found.append(Contender(f"latent diffusion{word}, compiled", "diffusion", bf16=bf16, compiled=True))
    batch = 8 if kind == "cuda" else 4
    found.append(Contender(f"AlignVAR{word}, a folder, {batch} tiles at once", "alignvar", bf16=bf16, batch=batch))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--narrower", type=int, choices=(1, 2, 4), help="divide every width by this: 4 on a CPU, else 1"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="torch.compile as well; minutes")
    parser.add_argument("--ours", action="store_true", help="variants of AlignVAR alone, beside the plain one")
    parser.add_argument("--quick", action="store_true", help="2 steps of diffusion: whether it runs, not how fast")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    narrower = given.narrower or (NARROWER if given.device == "cpu" else 1)
    steps, repeats = (2, 1) if given.quick else (STEPS, given.repeats)
    busy = busy_share()
    runs: dict[str, Measured] = {}
    for contender in contenders(given.device, given.compile):
        if given.ours and contender.kind == "diffusion":
            continue
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            task = alone.submit(measure, contender, given.device, narrower, repeats, given.threads, steps)
            runs[contender.name] = task.result()
    ours = runs["AlignVAR"]
    theirs = runs.get("latent diffusion", ours)
    rows = [
        [
            name,
            f"{run.parameters / 1e6:,.1f}",
            str(run.passes),
            f"{run.seconds:.2f}",
            f"{60 / run.seconds:,.1f}",
            f"{theirs.seconds / run.seconds:.1f}x",
            f"{run.peak_mb:,.0f}",
        ]
        for name, run in runs.items()
    ]
    where = f"{given.threads} threads" if given.device == "cpu" else torch.cuda.get_device_name(given.device)
    shape = "published widths" if narrower == 1 else f"all widths divided by {narrower}"
    name = "alignvar-speed" if given.device == "cpu" else f"alignvar-speed-{given.device.partition(':')[0]}"
    name += "-ours" if given.ours else "-quick" if given.quick else ""  # two steps must never stand for 200
    publish(
        name,
        f"128 x 128 px to 512 x 512 px with random weights, {shape}, {where}",
        Table(
            ["", "million parameters", "passes", "s per picture", "pictures per minute", "times as fast", "peak MB"],
            rows,
        ),
        measured={"narrower": narrower, "runs": {name: asdict(run) for name, run in runs.items()}},
        limits=[]
        if given.ours
        else [
            at_least("times as fast as latent diffusion", theirs.seconds / ours.seconds, FASTER),
            at_most("share of its parameters", ours.parameters / theirs.parameters, SHARE),
        ],
        notes=["Parameters include the autoencoder or tokeniser of each, and the text encoder of the diffusion model."],
        busy_before=busy,
        folder=given.results,
    )


def _peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    script(main)
