from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_model import write_tiny_checkpoint

from beholder.scoring.scorer import View


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny model with both heads. Shared by all tests: copy it before you damage it."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def views() -> list[View]:
    """Twelve views of noise, of three sizes that alternate."""
    rng = np.random.default_rng(1)
    sizes = [(64, 96), (128, 128), (97, 71)]
    return [(rng.random((*sizes[i % 3], 3)) * rng.integers(60, 255)).astype(np.uint8) for i in range(12)]
