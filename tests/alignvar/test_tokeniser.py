import pytest
import torch
import torch.nn.functional as F

from beholder.alignvar.config import SIZES, TokeniserConfig
from beholder.alignvar.tokeniser import Tokeniser


def test_a_picture_keeps_its_size(tokeniser, pictures):
    z = tokeniser.encode(pictures)
    assert z.shape == (2, 8, 4, 4)
    assert tokeniser.decode(z).shape == pictures.shape


def test_the_layout_of_var_keeps_sizes_too():
    config = TokeniserConfig(kind="var", channels=(32, 32, 64), codes=16, code_dim=4, scales=(1, 2, 4))
    tokeniser = Tokeniser(config)
    assert config.stride == 4
    out = tokeniser(torch.zeros(1, 3, 16, 16))
    assert out.picture.shape == (1, 3, 16, 16)
    assert out.z.shape == (1, 4, 4, 4)


@pytest.mark.parametrize(
    ("size", "millions", "within"), [("nano", 0.99, 0.005), ("small", 5.1, 0.05), ("d24", 108.9, 0.2)]
)
def test_tokenisers_have_the_size_of_the_specification(size, millions, within):
    with torch.device("meta"):
        tokeniser = Tokeniser(SIZES[size].tokeniser)
    assert sum(p.numel() for p in tokeniser.parameters()) / 1e6 == pytest.approx(millions, abs=within)


@pytest.mark.parametrize(
    ("size", "tokens", "hr", "lr"), [("nano", 530, 64, 16), ("small", 2240, 128, 32), ("d24", 2240, 512, 128)]
)
def test_sizes_have_the_tiles_and_tokens_of_the_specification(size, tokens, hr, lr):
    config = SIZES[size]
    assert (config.tokeniser.tokens, config.tokeniser.tile, config.tile) == (tokens, hr, lr)


def test_the_vq_loss_is_the_published_one(tokeniser, pictures):
    out = tokeniser(pictures)
    fhats = tokeniser.quantise(out.z).fhats
    expected = torch.stack([1.25 * F.mse_loss(fhat, out.z) for fhat in fhats]).mean()
    torch.testing.assert_close(out.vq_loss, expected)


def test_the_gradient_passes_the_codes_to_the_encoder(tokeniser, pictures):
    out = tokeniser(pictures)
    out.z.retain_grad()
    out.picture.sum().backward()
    assert out.z.grad is not None
    assert out.z.grad.abs().sum() > 0
    torch.testing.assert_close(out.picture, tokeniser.decode(tokeniser.fhat(out.indices)[-1]))


def test_the_vq_loss_moves_encoder_and_phi_and_not_the_codebook(tokeniser, pictures):
    tokeniser(pictures).vq_loss.backward()
    assert all(conv.weight.grad.abs().sum() > 0 for conv in tokeniser.pyramid.phi)
    assert tokeniser.encoder[1].weight.grad.abs().sum() > 0
    assert tokeniser.pyramid.codebook.grad is None


def test_fewer_scales_decode_the_coarser_sum(tokeniser, pictures):
    out = tokeniser(pictures, n_scales=2)
    assert len(out.indices) == 2
    torch.testing.assert_close(out.picture, tokeniser.decode(tokeniser.fhat(tokeniser.indices(pictures))[1]))


def test_blending_starts_from_the_continuous_latent(tokeniser, pictures):
    torch.testing.assert_close(tokeniser(pictures, blend=1.0).picture, tokeniser.decode(tokeniser.encode(pictures)))


def test_codes_do_not_depend_on_autocast(tokeniser, pictures):
    z = tokeniser.encode(pictures)
    plain = tokeniser.quantise(z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(tokeniser.quantise(z).fhats[-1], plain.fhats[-1])


def test_the_codebook_learns_what_its_codes_stand_for(tokeniser):
    codebook = pytest.importorskip("beholder.alignvar.codebook", reason="needs the extra train")
    torch.manual_seed(0)
    averages = codebook.EmaCodebook(tokeniser, decay=0.5)
    pictures = torch.rand(16, 3, 16, 16) * 2 - 1
    before = _distance_to_codes(tokeniser, pictures)
    for _ in range(30):
        averages.update(tokeniser, tokeniser(pictures))
    assert _distance_to_codes(tokeniser, pictures) < 0.5 * before
    assert averages.used() > 0.9


def _distance_to_codes(tokeniser, pictures):
    out = tokeniser(pictures)
    return F.mse_loss(torch.cat(out.residuals, 1), tokeniser.pyramid.codes_of(torch.cat(out.indices, 1)))


@pytest.fixture
def anchored() -> Tokeniser:
    torch.manual_seed(0)
    return Tokeniser(SIZES["tiny"].tokeniser.model_copy(update={"anchored": True})).eval()


def test_an_anchored_tokeniser_adds_to_the_enlarged_picture(anchored, pictures, lr):
    z = anchored.encode(pictures, lr)
    assert z.shape == (2, 8, 4, 4)
    added = anchored.decode(z, lr)
    assert added.shape == pictures.shape
    for parameter in anchored.decoder[-2].parameters():
        torch.nn.init.zeros_(parameter)
    enlarged = 2 * F.interpolate(lr, scale_factor=4, mode="bicubic") - 1
    torch.testing.assert_close(anchored.decode(z, lr), enlarged)
    assert not torch.allclose(added, enlarged)


def test_what_an_anchored_tokeniser_codes_depends_on_the_small_picture(anchored, pictures, lr):
    assert not torch.allclose(anchored.encode(pictures, lr), anchored.encode(pictures, 1 - lr))
    z = anchored.encode(pictures, lr)
    lacking = [anchored.decode(z, one) - 2 * F.interpolate(one, scale_factor=4, mode="bicubic") for one in (lr, 1 - lr)]
    assert not torch.allclose(*lacking)


def test_an_anchored_tokeniser_asks_for_the_small_picture(anchored, pictures):
    with pytest.raises(ValueError, match="needs the LR picture"):
        anchored.encode(pictures)
    with pytest.raises(ValueError, match="needs the LR picture"):
        anchored.decode(torch.zeros(2, 8, 4, 4))


def test_only_a_compact_tokeniser_can_be_anchored():
    with pytest.raises(ValueError, match="only a compact tokeniser"):
        TokeniserConfig(kind="var", channels=(32, 64), codes=16, code_dim=4, scales=(1, 2), anchored=True)
