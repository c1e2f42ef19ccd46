"""Held-out crops decide: is a tokeniser fit to train a transformer on, is a model fit to be released?

The tokeniser's gate (section 3 of our spec): decoded ground-truth tokens beat bicubic in PSNR and in GMSD. The release
gate (section 12), on clean input at default settings: PSNR at most 1 dB below bicubic, GMSD no worse, and at least 1.5
times its high frequencies.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from beholder.alignvar.config import FACTOR
from beholder.evaluate.restoration import gmsd, high_frequency_energy, lr_consistency, psnr, ssim
from beholder.language.rows import write_whole

PSNR_SLACK_DB = 1.0
HIGH_FREQUENCY_GAIN = 1.5
SMALLEST_WITH_BORDER = 32
"""Pixels of a side; of smaller pictures a border of 4 px would leave too little for SSIM."""


@dataclass(frozen=True)
class Fidelity:
    """How near restored pictures are to the true ones; means over pictures."""

    psnr: float
    """dB on Y, without the 4 px at the border."""
    ssim: float
    """On Y, without the 4 px at the border."""
    gmsd: float
    """Lower is better."""
    high_frequency: float
    """Root mean square of the high frequencies of all pictures over that of the true ones; 1 is as sharp."""
    lr_consistency: float | None
    """dB between the result, shrunk, and the input; None if there is no input."""
    n: int

    def __str__(self) -> str:
        first = f"{self.psnr:.2f} dB, SSIM {self.ssim:.3f}, GMSD {self.gmsd:.4f}"
        return f"{first}, high frequencies {self.high_frequency:.2f}"


def measure(pred: Tensor, hr: Tensor, lr: Tensor | None = None) -> Fidelity:
    """Compare pictures [N, 3, H, W] with the true ones, all [0, 1] or uint8; `pred` is rounded to 8 bit first.

    `lr`: what they were made from, [N, 3, H / 4, W / 4].
    """
    preds, trues = _pixels(pred), _pixels(hr)
    border = FACTOR if min(hr.shape[2:]) >= SMALLEST_WITH_BORDER else 0
    pairs = list(zip(preds, trues, strict=True))
    energies = [[high_frequency_energy(picture, border=border) for picture in pictures] for pictures in (preds, trues)]
    kept = None
    if lr is not None:
        kept = float(np.mean([lr_consistency(one, small) for one, small in zip(preds, _pixels(lr), strict=True)]))
    return Fidelity(
        psnr=float(np.mean([psnr(one, true, border=border) for one, true in pairs])),
        ssim=float(np.mean([ssim(one, true, border=border) for one, true in pairs])),
        gmsd=float(np.mean([gmsd(one, true) for one, true in pairs])),
        high_frequency=float(np.sqrt(np.sum(energies[0]) / np.sum(energies[1]))),
        lr_consistency=kept,
        n=len(pairs),
    )


@dataclass(frozen=True)
class Gate:
    """A gate, whether it is passed, and by what."""

    name: str
    ours: Fidelity
    bicubic: Fidelity
    failed: tuple[str, ...]
    """What was missed, one line each."""

    @property
    def passed(self) -> bool:
        """Whether nothing was missed."""
        return not self.failed

    def write(self, file: Path) -> None:
        """As JSON."""
        write_whole(file, json.dumps({**asdict(self), "passed": self.passed}, indent=2) + "\n")

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "not passed: " + ", ".join(self.failed)
        return f"{self.name} {verdict}. {self.ours.n} pictures: ours {self.ours}; bicubic {self.bicubic}"


def tokeniser_gate(decoded: Fidelity, bicubic: Fidelity) -> Gate:
    """Whether pictures survive being tokens well enough to predict the tokens."""
    failed = []
    if not decoded.psnr > bicubic.psnr:
        failed.append(f"PSNR {decoded.psnr:.2f} dB is not above bicubic's {bicubic.psnr:.2f} dB")
    if not decoded.gmsd < bicubic.gmsd:
        failed.append(f"GMSD {decoded.gmsd:.4f} is not below bicubic's {bicubic.gmsd:.4f}")
    return Gate("Tokeniser gate", decoded, bicubic, tuple(failed))


def release_gate(upscaled: Fidelity, bicubic: Fidelity) -> Gate:
    """Whether a model may be given to people."""
    failed = []
    if not upscaled.psnr >= bicubic.psnr - PSNR_SLACK_DB:
        failed.append(f"PSNR {upscaled.psnr:.2f} dB is more than {PSNR_SLACK_DB:g} dB below {bicubic.psnr:.2f} dB")
    if not upscaled.gmsd <= bicubic.gmsd:
        failed.append(f"GMSD {upscaled.gmsd:.4f} is above bicubic's {bicubic.gmsd:.4f}")
    wanted = HIGH_FREQUENCY_GAIN * bicubic.high_frequency
    if not upscaled.high_frequency >= wanted:
        failed.append(f"high frequencies {upscaled.high_frequency:.2f} are below {wanted:.2f}, 1.5 times bicubic's")
    return Gate("Release gate", upscaled, bicubic, tuple(failed))


def _pixels(pictures: Tensor) -> list[NDArray[np.uint8]]:
    if pictures.dtype != torch.uint8:
        pictures = (pictures.detach().float() * 255).round().clamp(0, 255).to(torch.uint8)
    return list(pictures.permute(0, 2, 3, 1).cpu().numpy())
