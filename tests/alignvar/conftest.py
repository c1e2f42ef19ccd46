from __future__ import annotations

from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch", reason="needs the extra restore")

from beholder.alignvar.config import SIZES  # noqa: E402
from beholder.alignvar.tokeniser import Tokeniser  # noqa: E402
from beholder.alignvar.transformer import AlignVar  # noqa: E402

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


@pytest.fixture
def lr(pictures: torch.Tensor) -> torch.Tensor:
    """The same pictures as LR, RGB in [0, 1]."""
    return torch.nn.functional.avg_pool2d((pictures + 1) / 2, 4)


@pytest.fixture
def model() -> AlignVar:
    """Tiny, of random weights that do something everywhere: untrained ones start with branches and gates at zero."""
    return shaken(AlignVar(TINY))


@pytest.fixture
def labelled() -> AlignVar:
    """The same with what only d24 has: AdaLN, quality labels, and an LR encoder with strides."""
    transformer = TINY.transformer.model_copy(update={"adaln": True, "labels": 2, "lr_channels": (4, 8, 8)})
    return shaken(AlignVar(TINY.model_copy(update={"transformer": transformer})))


@pytest.fixture
def placed() -> AlignVar:
    """The same with the prefix at the place of each token."""
    transformer = TINY.transformer.model_copy(update={"lr_at_tokens": True})
    return shaken(AlignVar(TINY.model_copy(update={"transformer": transformer})))


def shaken(model: AlignVar) -> AlignVar:
    """Random weights in the place of the initial ones."""
    generator = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval()
