from __future__ import annotations

from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch", reason="needs the extra restore")

from beholder.alignvar.config import SIZES  # noqa: E402
from beholder.alignvar.tokeniser import Tokeniser  # noqa: E402

TINY = SIZES["tiny"]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tokeniser() -> Tokeniser:
    """Tiny, of random weights, with a Φ that does something and codes as large as its latents."""
    torch.manual_seed(0)
    made = Tokeniser(TINY.tokeniser)
    for conv in made.pyramid.phi:
        torch.nn.init.normal_(conv.weight, std=0.1)
    made.pyramid.codebook.data.normal_(std=0.3)
    return made.eval()


@pytest.fixture
def pictures() -> torch.Tensor:
    """Two HR pictures for the tiny tokeniser, RGB in [-1, 1]."""
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
