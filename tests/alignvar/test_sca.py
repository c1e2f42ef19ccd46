import pytest
import torch
import torch.nn.functional as F

from beholder.alignvar.config import SIZES, ScaConfig
from beholder.alignvar.sca import Gate, guidance, laplacian
from beholder.alignvar.transformer import AlignVar


@pytest.mark.parametrize("gate", ["channel", "scalar"])
def test_the_factor_starts_at_1_12_and_stays_between_1_and_2(gate):
    torch.manual_seed(0)
    made = Gate(32, ScaConfig(gate=gate))
    tokens, maps = torch.randn(4, 9, 32), torch.rand(4, 9, 1)
    factor = made.factor(tokens, maps)
    assert factor.shape == (4, 9, 32 if gate == "channel" else 1)
    torch.testing.assert_close(factor, torch.full_like(factor, 1.12), atol=0.01, rtol=0)
    torch.nn.init.normal_(made.layers[2].weight)
    factor = made.factor(tokens, maps)
    assert 1 < factor.min() < 1.1 < factor.max() < 2
    torch.testing.assert_close(made(tokens, maps), tokens * factor)


def test_the_factor_follows_the_guidance():
    torch.manual_seed(0)
    made = Gate(32, ScaConfig())
    torch.nn.init.normal_(made.layers[2].weight)
    tokens = torch.randn(1, 1, 32)
    low, high = made.factor(tokens, torch.zeros(1, 1, 1)), made.factor(tokens, torch.ones(1, 1, 1))
    other = made.factor(torch.randn(1, 1, 32), torch.zeros(1, 1, 1))
    assert (low - high).abs().mean() > 0.2 * (low - other).abs().mean()  # heard among 32 channels of the token


def test_off_has_no_parameters_and_leaves_tokens_alone(tokeniser, pictures, lr):
    tiny = SIZES["tiny"]
    off = AlignVar(tiny.model_copy(update={"sca": ScaConfig(gate="off")}))
    on = AlignVar(tiny)
    assert {name.split(".")[0] for name in on.state_dict()} - {name.split(".")[0] for name in off.state_dict()} == {
        "gate"
    }
    off.load_state_dict({name: value for name, value in on.state_dict().items() if not name.startswith("gate.")})
    with torch.no_grad():
        on.gate.layers[2].bias.fill_(-100)  # a factor of 1
        inputs = tokeniser.inputs(tokeniser.quantise(tokeniser.encode(pictures)).fhats)
        torch.testing.assert_close(on(lr, inputs), off(lr, inputs))


def test_the_laplacian_has_four_neighbours_and_sees_no_edge_at_the_border():
    picture = torch.zeros(1, 3, 5, 5)
    assert torch.equal(laplacian(picture + 0.7, 0.0), torch.zeros(1, 1, 5, 5))
    picture[:, :, 2, 2] = 1
    expected = torch.tensor([[0.0, 1, 0], [1, 4, 1], [0, 1, 0]])
    torch.testing.assert_close(laplacian(picture, 0.0)[0, 0, 1:4, 1:4], expected)


def test_green_counts_most():
    peaks = [laplacian(F.one_hot(torch.tensor(c), 3).view(1, 3, 1, 1) * _dot(), 0.0).max() for c in range(3)]
    torch.testing.assert_close(torch.stack(peaks), 4 * torch.tensor([0.299, 0.587, 0.114]))


def test_a_blur_calms_noise():
    noise = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert laplacian(noise, 0.8).mean() < 0.5 * laplacian(noise, 0.0).mean()


def test_maps_are_high_at_edges_and_low_on_flat_tiles():
    edge = torch.zeros(1, 3, 16, 16)
    edge[..., 8:] = 1
    flat = torch.full((1, 3, 16, 16), 0.5) + 0.001 * torch.rand(1, 3, 16, 16)
    maps = guidance(torch.cat([edge, flat]), (1, 4, 16), ScaConfig(blur=0.0))
    assert [m.shape for m in maps] == [(2, 1, 1), (2, 16, 1), (2, 256, 1)]
    finest = maps[2].view(2, 16, 16)
    assert finest[0, :, 7:9].min() == 1
    assert finest[0, :, :6].max() == 0
    assert max(m[1].max() for m in maps) < 0.25  # divided by the floor, not by their own maximum


def test_random_guidance_is_of_the_picture_and_the_seed_alone(lr):
    config = ScaConfig(guidance="random", seed=3)
    both, alone = guidance(lr, (2, 4), config), guidance(lr[1:], (2, 4), config)
    assert all(torch.equal(a[1:], b) for a, b in zip(both, alone, strict=True))
    assert not torch.equal(both[1][0], both[1][1])
    assert not torch.equal(both[1], guidance(lr, (2, 4), ScaConfig(guidance="random", seed=4))[1])
    many = guidance(torch.rand(64, 3, 4, 4), (4,), config)[0]
    assert 0 <= many.min() < 0.02 < 0.98 < many.max() < 1
    assert float(many.mean()) == pytest.approx(0.5, abs=0.05)


def test_zero_guidance_is_zero(lr):
    assert not any(m.any() for m in guidance(lr, (1, 2, 4), ScaConfig(guidance="zero")))


def test_guidance_reaches_the_prediction(model, tokeniser, pictures, lr):
    inputs = tokeniser.inputs(tokeniser.quantise(tokeniser.encode(pictures)).fhats)
    other = AlignVar(SIZES["tiny"].model_copy(update={"sca": ScaConfig(guidance="random")})).eval()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        a, b = model(lr, inputs), other(lr, inputs)
    assert torch.equal(a[:, 0], b[:, 0])  # the start token is not gated
    assert (a[:, 1:] - b[:, 1:]).abs().max() > 1e-4


def _dot():
    dot = torch.zeros(1, 1, 5, 5)
    dot[..., 2, 2] = 1
    return dot
