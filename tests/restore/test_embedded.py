"""The upscaler in the package, as it is shipped."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the extra restore")

from beholder.evaluate.restoration import gmsd, high_frequency_energy, psnr
from beholder.restore import Upscaler
from beholder.restore.upscaler import EMBEDDED

QUALITY = Path(__file__).parents[2] / "bench/results/alignvar-quality.json"


def test_it_is_small_and_says_what_it_learned_from() -> None:
    folder = EMBEDDED["alignvar-nano"]
    assert sum(file.stat().st_size for file in folder.iterdir()) < 20e6
    text = (folder / "config.json").read_text()
    assert "BSDS500" in text
    assert "may be invented" in text


def test_the_release_gate_was_passed_by_these_weights_at_these_settings() -> None:
    stored = json.loads(QUALITY.read_text())
    upscaler = Upscaler.from_pretrained()
    assert stored["measured"]["model"] == {
        "name": upscaler.name,
        "weights_sha256": upscaler.sha256,
        "decode": upscaler.decode,
        "fidelity": upscaler.fidelity,
    }
    assert stored["measured"]["gate"]["passed"]
    assert [limit["met"] for limit in stored["limits"]] == [True] * 3


def test_it_is_sharper_than_bicubic_and_as_near(render_picture) -> None:
    true = render_picture(3, (192, 160)).convert("RGB")
    small = true.resize((48, 40), Image.Resampling.BICUBIC)
    plain = np.asarray(small.resize(true.size, Image.Resampling.BICUBIC))
    ours, wanted = np.asarray(Upscaler.from_pretrained()(small)), np.asarray(true)
    assert psnr(ours, wanted) > psnr(plain, wanted)
    assert gmsd(ours, wanted) < gmsd(plain, wanted)
    assert high_frequency_energy(ours) > 1.5 * high_frequency_energy(plain)
