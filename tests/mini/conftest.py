import numpy as np
import pytest
import torch

from beholder.mini.codebook import Codebook, learn_codebook
from beholder.mini.config import BLOCKS, CodebookConfig, HeadConfig, KernelConfig
from beholder.mini.features import Features, as_planes

TEXTURE = CodebookConfig(plane="luma", halvings=0, taps=5, stride=4, words=6, floor=1, patches=40)
COLOUR = CodebookConfig(plane="rgb", halvings=2, taps=6, stride=2, words=7, floor=10, patches=40)


@pytest.fixture(scope="session")
def scenes(render_picture) -> list[np.ndarray]:
    """Twelve rendered pictures, uint8 (128, 192, 3)."""
    return [np.asarray(render_picture(seed, (192, 128))) for seed in range(12)]


@pytest.fixture(scope="session")
def books(scenes) -> dict[str, list[Codebook]]:
    """One small codebook per learned block."""
    seen = [as_planes(rgb) for rgb in scenes]
    return {"texture": [learn_codebook(seen, TEXTURE, 0)], "colour": [learn_codebook(seen, COLOUR, 0)]}


@pytest.fixture(scope="session")
def measure(books) -> Features:
    """Statistics and both codebooks."""
    return Features(books).eval()


@pytest.fixture(scope="session")
def head_config() -> HeadConfig:
    """A head that hears every block."""
    kernels = dict.fromkeys(BLOCKS, KernelConfig(weight=1.0, width=0.2))
    return HeadConfig(kernels=kernels, ridge=1e-4, correlation_weight=1.0, steps=60, folds=2)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
