from collections.abc import Callable

import numpy as np
import pytest

from beholder.mini.data import Rated
from beholder.task import Task


@pytest.fixture(scope="session")
def rate(render_picture) -> Callable[[Task, int], Rated]:
    """`rate(task, seed)` gives six rendered pictures of different sizes with scores and offsets."""

    def made(task: Task, seed: int) -> Rated:
        rng = np.random.default_rng(seed)
        pixels = tuple(np.asarray(render_picture(seed + i, (100 + 9 * i, 90))) for i in range(6))
        names = tuple(f"{i}.png" for i in range(6))
        unit = rng.random(6, dtype=np.float32)
        return Rated(task, names, pixels, unit, names, rng.normal(size=(6, 5)).astype(np.float32))

    return made
