import torch
from nano_uniqa import tiny_model

from beholder.uniqa.lessons import collate
from beholder.uniqa.rater import Rater


def test_random_targets_on_random_pictures_are_learned_by_heart() -> None:
    """The overfit run of the spec, section 11.7: the loss falls below one fifth of its start in 300 steps."""
    torch.manual_seed(0)
    model = tiny_model()
    model.adapt("quality")
    rater = Rater(model, "quality", whole=False)
    pixels = torch.randint(256, (16, 32, 32, 3), dtype=torch.uint8)
    items = [{"views": pixels[i][None], "target": torch.tensor(0.1 + 0.8 * i / 15)} for i in range(16)]
    batch = collate(items)
    optimiser = torch.optim.Adam([p for p in rater.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(300):
        loss = rater(**batch)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 5


def test_padding_does_not_change_a_score() -> None:
    """A wide picture has more views; a row padded beside it scores as it does alone."""
    model = tiny_model()
    model.adapt("quality")
    rater = Rater(model, "quality", whole=False).eval()
    few, many = torch.randn(2, 32), torch.randn(5, 32)
    items = [{"views": few, "target": torch.tensor(0.5)}, {"views": many, "target": torch.tensor(0.5)}]
    both = rater(**collate(items))["score"]
    assert torch.allclose(both[0], rater(**collate(items[:1]))["score"][0], atol=1e-6)
    assert torch.allclose(both[1], rater(**collate(items[1:]))["score"][0], atol=1e-6)
