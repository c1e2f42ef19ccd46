"""The upscaler in the package, as it is shipped."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the extra restore")

from beholder.evaluate.restoration import gmsd, high_frequency_energy, psnr
from beholder.restore import Upscaler
from beholder.restore.upscaler import EMBEDDED


def test_it_is_small_and_says_what_it_learned_from() -> None:
    folder = EMBEDDED["alignvar-nano"]
    assert sum(file.stat().st_size for file in folder.iterdir()) < 20e6
    text = (folder / "config.json").read_text()
    assert "BSDS500" in text
    assert "may be invented" in text


def test_it_is_sharper_than_bicubic_and_as_near(render_picture) -> None:
    true = render_picture(3, (192, 160)).convert("RGB")
    small = true.resize((48, 40), Image.Resampling.BICUBIC)
    plain = np.asarray(small.resize(true.size, Image.Resampling.BICUBIC))
    ours, wanted = np.asarray(Upscaler.from_pretrained()(small)), np.asarray(true)
    assert psnr(ours, wanted) > psnr(plain, wanted)
    assert gmsd(ours, wanted) < gmsd(plain, wanted)
    assert high_frequency_energy(ours) > 1.5 * high_frequency_energy(plain)
