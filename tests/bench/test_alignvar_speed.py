import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import alignvar_speed
import torch

from beholder.alignvar.config import SIZES
from beholder.alignvar.decode import decoded_latent
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.transformer import AlignVar


def millions(networks):
    return [sum(p.numel() for p in network.parameters()) / 1e6 for network in networks]


def test_alignvar_has_the_published_shape():
    with torch.device("meta"):
        _, (model, _), passes = alignvar_speed.alignvar(1, cached=True)
    assert millions([model])[0] == pytest.approx(1056.5, abs=0.5)
    assert passes == 10


def test_the_diffusion_model_has_the_published_shape():
    """866 million of Stable Diffusion 2.1's U-Net, 84 of its autoencoder, 340 of its text encoder."""
    pytest.importorskip("diffusers")
    with torch.device("meta"):
        _, networks, passes = alignvar_speed.diffusion(1)
    assert millions(networks) == pytest.approx([865.9, 83.7, 340.4], abs=0.2)
    assert passes == 200


def test_the_smaller_pair_keeps_the_proportion():
    pytest.importorskip("diffusers")
    share = []
    for narrower in (1, 4):
        with torch.device("meta"):
            _, ours, _ = alignvar_speed.alignvar(narrower, cached=True)
            _, theirs, _ = alignvar_speed.diffusion(narrower)
        share.append(sum(millions(ours)) / sum(millions(theirs)))
    assert share[1] == pytest.approx(share[0], rel=0.25)


def test_without_a_cache_the_same_picture_comes_out():
    torch.manual_seed(0)
    model, tokeniser = AlignVar(SIZES["tiny"]).eval(), Tokeniser(SIZES["tiny"].tokeniser).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    lr = torch.rand(2, 3, 4, 4)
    with torch.inference_mode():
        cached = tokeniser.decode(decoded_latent(model, tokeniser, lr, "greedy"))
    torch.testing.assert_close(alignvar_speed._uncached(model, tokeniser, lr), ((cached + 1) / 2).clamp(0, 1))


def test_the_diffusion_model_makes_a_picture():
    pytest.importorskip("diffusers")
    torch.manual_seed(0)
    run, _, passes = alignvar_speed.diffusion(4, steps=2)
    assert passes == 2
    assert run(torch.rand(1, 3, 16, 16)).shape == (1, 3, 64, 64)


def test_narrower_shapes_are_valid():
    for narrower in (1, 4):
        config = alignvar_speed.d24(narrower)
        assert type(config).model_validate(config.model_dump()) == config
        assert config.tile == 128


def test_what_is_compiled_is_what_upscaling_calls():
    model, tokeniser = AlignVar(SIZES["tiny"]), Tokeniser(SIZES["tiny"].tokeniser)
    called = set()
    parts = [*alignvar_speed.called_parts(model), *alignvar_speed.called_parts(tokeniser)]
    for i, part in enumerate(parts):
        part.register_forward_pre_hook(lambda module, _, i=i: called.add(i))
    alignvar_speed.upscale_tiles(model.eval(), tokeniser.eval(), torch.rand(1, 3, 4, 4), "greedy")
    assert called == set(range(len(parts))) == {0, 1, 2}


def test_compiled_and_16_bits_are_compared_with_their_like(monkeypatch):
    monkeypatch.setattr(alignvar_speed, "computes_bfloat16", lambda device: device == "cuda")
    found = alignvar_speed.contenders("cuda", compiled=True)
    ours, theirs = ({(c.bf16, c.compiled) for c in found if c.kind == kind} for kind in ("alignvar", "diffusion"))
    assert ours == theirs == {(False, False), (True, False), (True, True)}
    slow = alignvar_speed.contenders("cpu", compiled=True)
    assert {c.batch for c in slow} == {1, 4}
    assert not any(c.bf16 for c in slow)
    assert {c.kind for c in slow if c.compiled} == {"alignvar", "diffusion"}
