import pytest
import torch
import torch.nn.functional as F

from beholder.alignvar.pyramid import PHI_CONVS, phi_of_scale


def test_codes_give_back_the_sums_they_were_made_with(tokeniser, pictures):
    quantised = tokeniser.quantise(tokeniser.encode(pictures))
    rebuilt = tokeniser.fhat(quantised.indices)
    assert [index.shape for index in quantised.indices] == [(2, side**2) for side in tokeniser.config.scales]
    assert all(index.dtype == torch.int64 for index in quantised.indices)
    assert all(torch.equal(a, b) for a, b in zip(rebuilt, quantised.fhats, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(tokeniser.indices(pictures), quantised.indices, strict=True))


def test_the_pyramid_is_the_published_loop(tokeniser):
    """Written out once more: area down, nearest code, bicubic up, half and half with the convolution."""
    pyramid, z = tokeniser.pyramid, torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(3))
    rest, fhat = z.clone(), torch.zeros_like(z)
    for k, side in enumerate((1, 2, 3, 4)):
        small = F.interpolate(rest, size=(side, side), mode="area") if side < 4 else rest
        distance = ((small.permute(0, 2, 3, 1)[..., None, :] - pyramid.codebook) ** 2).sum(-1)
        codes = pyramid.codebook[distance.argmin(-1)].permute(0, 3, 1, 2)
        up = F.interpolate(codes, size=(4, 4), mode="bicubic") if side < 4 else codes
        step = 0.5 * up + 0.5 * pyramid.phi[k](up)
        fhat, rest = fhat + step, rest - step
        torch.testing.assert_close(pyramid.quantise(z).fhats[k], fhat)


@pytest.mark.parametrize(
    ("n_scales", "expected"), [(10, (0, 0, 1, 1, 1, 2, 2, 3, 3, 3)), (8, (0, 0, 1, 1, 2, 2, 3, 3)), (4, (0, 1, 2, 3))]
)
def test_scales_share_phi_as_published(n_scales, expected):
    assert phi_of_scale(n_scales) == expected


@pytest.mark.parametrize("n_scales", [2, 5, 8, 10, 13])
def test_every_scale_has_the_nearest_phi(n_scales):
    points = [1 / 12, 13 / 36, 23 / 36, 11 / 12]
    for k, chosen in enumerate(phi_of_scale(n_scales)):
        distances = [abs(point - k / (n_scales - 1)) for point in points]
        assert distances[chosen] <= min(distances) + 1e-12
    assert len(points) == PHI_CONVS


def test_phi_can_leave_out_the_last_scale(tokeniser):
    codes = torch.randn(1, 16, 8)
    tokeniser.pyramid.phi_last = False
    assert torch.equal(tokeniser.pyramid.contribution(codes, 3), codes.transpose(1, 2).reshape(1, 8, 4, 4))


def test_inputs_are_the_earlier_sums_at_the_size_of_the_scale(tokeniser, pictures):
    fhats = tokeniser.quantise(tokeniser.encode(pictures)).fhats
    inputs = tokeniser.inputs(fhats)
    assert inputs.shape == (2, 4 + 9 + 16, 8)
    assert torch.equal(inputs[:, -16:], fhats[2].flatten(2).transpose(1, 2))
    torch.testing.assert_close(inputs[:, :4], F.adaptive_avg_pool2d(fhats[0], 2).flatten(2).transpose(1, 2))


def test_noise_on_tokens_is_corrected_by_later_scales_and_leaves_clean_targets(tokeniser):
    z = torch.randn(16, 8, 4, 4, generator=torch.Generator().manual_seed(3))
    plain = tokeniser.quantise(z)
    noisy = tokeniser.quantise(z, token_noise=0.5, generator=torch.Generator().manual_seed(4))
    again = tokeniser.quantise(z, token_noise=0.5, generator=torch.Generator().manual_seed(4))
    assert all(torch.equal(a, b) for a, b in zip(noisy.fhats, again.fhats, strict=True))
    assert torch.equal(noisy.indices[0], plain.indices[0])  # what is to be predicted at scale 1 does not know of noise
    assert torch.equal(noisy.clean[0], plain.fhats[0])
    changed = (noisy.fhats[0] != plain.fhats[0]).flatten(1).any(1)
    assert 2 <= changed.sum() <= 14
    assert not torch.equal(noisy.indices[1][changed], plain.indices[1][changed])  # the next scale corrects it
    assert torch.equal(noisy.indices[1][~changed], plain.indices[1][~changed])
    assert torch.equal(noisy.fhats[-1], noisy.clean[-1])  # nothing comes after the last scale to correct it
    assert all(torch.equal(a, b) for a, b in zip(plain.fhats, plain.clean, strict=True))


def test_noise_chooses_among_the_eight_nearest_codes(tokeniser):
    pyramid = tokeniser.pyramid
    distance = torch.cdist(pyramid.codebook, pyramid.codebook)
    near = pyramid._near_codes()
    for code in range(len(near)):
        assert set(near[code].tolist()) == set(distance[code].argsort()[1:9].tolist())
