import numpy as np
import torch

from beholder.evaluate.correlation import srcc
from beholder.uniqa.features import Grid
from beholder.uniqa.probe import probe


def test_a_probe_finds_a_linear_score() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(200, 1, 8, generator=generator), dim=-1)
    grid = Grid(features, torch.ones(200, 1, dtype=torch.bool))
    unit = (features[:, 0, 0] - features[:, 0, 3]).double().numpy()
    rate = probe(grid.take(np.arange(150)), unit[:150])
    assert srcc(rate(grid.take(np.arange(150, 200))), unit[150:]) > 0.98
