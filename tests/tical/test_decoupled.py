from __future__ import annotations

import numpy as np
import pytest
import torch
from planted_emotions import plant

from beholder.tical.classifier import TicalClassifier
from beholder.tical.config import VARIANTS, TicalConfig
from beholder.tical.decoupled import Decoupled, parted_losses
from beholder.tical.folder import load, save

CONFIG = TicalConfig(embed_dim=6)
LOSSES = {"rebuild", "orthogonal", "margin", "teach_shared", "teach_private"}
Y = torch.eye(3)[torch.arange(12) % 3]


def parted(m: int = 2, seed: int = 0):  # type: ignore[no-untyped-def]
    torch.manual_seed(seed)
    module = Decoupled(m, CONFIG, 3)
    h = [torch.randn(12, 6, requires_grad=True) for _ in range(m)]
    return module, h, module.part(h, torch.ones(12, m))


@pytest.mark.parametrize(
    ("loss", "moves"),
    [
        ("rebuild", "rebuild.0.weight"),
        ("orthogonal", "private.1.weight"),
        ("margin", "shared.weight"),
        ("teach_shared", "edge.shared.weight"),
        ("teach_private", "private_heads.0.weight"),
    ],
)
def test_every_loss_has_a_gradient_where_it_should(loss: str, moves: str) -> None:
    module, _, found = parted(3)
    losses = parted_losses(found, Y, torch.ones(12, 3))
    assert set(losses) == LOSSES
    losses[loss].backward()
    assert module.get_parameter(moves).grad.abs().sum() > 0


def test_a_teacher_is_not_moved() -> None:
    """With all weight on one edge only the student's logits are pulled."""
    _, h, found = parted()
    found.edges["private"] = torch.tensor([[1.0, 0.0]]).expand(12, 2)  # 0 teaches 1
    parted_losses(found, Y, torch.ones(12, 2))["teach_private"].backward()
    assert h[0].grad.abs().sum() == 0
    assert h[1].grad.abs().sum() > 0


def test_a_missing_modality_teaches_nobody_and_changes_nothing() -> None:
    module, h, _ = parted(3)
    present = torch.ones(12, 3)
    present[:, 2] = 0
    other = [h[0], h[1], torch.randn(12, 6)]
    told = []
    for given in (h, other):
        found = module.part(given, present)
        losses = parted_losses(found, Y, present)
        told.append(
            [*(float(losses[name].detach()) for name in sorted(LOSSES)), module.join(found, present).sum().item()]
        )
        assert found.edges["shared"].sum(dim=1).detach().numpy() == pytest.approx(np.ones(12))
    assert told[0] == pytest.approx(told[1])


def test_one_modality_has_nobody_to_learn_from() -> None:
    _, _, found = parted(1)
    assert set(parted_losses(found, Y, torch.ones(12, 1))) == {"rebuild", "orthogonal"}


def test_its_losses_are_logged_and_a_saved_model_tells_the_same(tmp_path) -> None:  # type: ignore[no-untyped-def]
    data = plant(300)
    settings = {**VARIANTS["dmd-like"], "epochs": 2, "warmup_epochs": 1}
    model = TicalClassifier(settings).fit(data.x, data.y, groups=data.group)
    assert set(model.fit_.losses) == LOSSES | {"fused", "unimodal_0", "unimodal_1"}
    assert min(model.fit_.losses.values()) > 0
    save(model, tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.predict_proba(data.x) == pytest.approx(model.predict_proba(data.x), abs=1e-6)
    assert again.head_probabilities(data.x)["voice"] == pytest.approx(
        model.head_probabilities(data.x)["voice"], abs=1e-6
    )
