"""The whole size learns: whatever breaks its gradient, its positions or its mask keeps it from knowing two crops by
heart. Minutes: pytest -m slow."""

import numpy as np
import pytest
import torch

from beholder.alignvar.config import SIZES, HccConfig, LossConfig
from beholder.alignvar.loss import training_loss
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.transformer import AlignVar

STEPS = 200


@pytest.mark.slow
def test_nano_knows_two_crops_by_heart_within_200_steps(render_picture):
    torch.manual_seed(0)
    nano = SIZES["nano"]
    config = nano.model_copy(update={"transformer": nano.transformer.model_copy(update={"drop_path": 0.0})})
    crops = [torch.from_numpy(np.array(render_picture(seed, (64, 64)))) for seed in (1, 2)]
    hr = torch.stack(crops).permute(0, 3, 1, 2).float() / 255
    lr = torch.nn.functional.avg_pool2d(hr, 4)
    tokeniser = Tokeniser(config.tokeniser).eval().requires_grad_(False)
    z = tokeniser.encode(2 * hr - 1, lr)
    spread = z.transpose(0, 1).flatten(1)
    # Vectors like the latent's own: an untrained codebook would use a handful of codes, too easy to know.
    tokeniser.pyramid.codebook.copy_(spread.mean(1) + spread.std(1) * torch.randn_like(tokeniser.pyramid.codebook))
    assert len(torch.cat(tokeniser.indices(2 * hr - 1, lr), dim=1).unique()) > 100
    model = AlignVar(config).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05)
    loss = LossConfig(ce_weight="token", token_noise=0.0, hcc=HccConfig(weight=0.0))
    ces = []
    for _ in range(STEPS):
        found = training_loss(model, tokeniser, lr, hr, loss)
        optimiser.zero_grad()
        found.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        ces.append(found.ce.item())
    print(f"cross-entropy {ces[0]:.2f} at first, {min(ces):.3f} at best, {ces[-1]:.3f} at last")
    assert ces[0] > 6  # log 1024 = 6.93 is knowing nothing
    assert min(ces) < 0.5
