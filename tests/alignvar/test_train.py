import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from beholder.alignvar.adversary import Discriminator, fooling_loss, hinge_loss
from beholder.alignvar.crops import Photos, read_photos
from beholder.alignvar.folder import load, load_tokeniser, save
from beholder.alignvar.gate import Fidelity, Gate, measure, release_gate, tokeniser_gate
from beholder.alignvar.learn import Clock, averaging
from beholder.alignvar.recipe import AlignVarRecipe, DecoderRecipe, PhotosConfig, TokeniserRecipe
from beholder.alignvar.train import train_alignvar
from beholder.alignvar.train_decoder import train_decoder
from beholder.alignvar.train_tokeniser import train_tokeniser
from beholder.errors import UserError
from beholder.training.run_folder import last_whole_checkpoint


@pytest.fixture(scope="module")
def photos(tmp_path_factory, render_picture) -> tuple[PhotosConfig, Photos]:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(12):
        render_picture(seed, (80, 64)).save(folder / f"{seed:02}.png")
    listed = folder / "held-out.txt"
    listed.write_text("03.png\n07.png\n")
    config = PhotosConfig(folders=(folder,), held_out=listed)
    return config, read_photos(config, 16)


def tokeniser_recipe(photos, **changes: object) -> TokeniserRecipe:
    fields = {
        "name": "toy", "size": "tiny", "photos": photos[0], "batch": 8, "steps": 6, "ema": 0, "eval_steps": 3,
        "threads": 1, "optimiser": {"learning_rate": 3e-3, "warmup_steps": 0}, "blend_steps": 2, "drop_scales": 0.3,
    }  # fmt: skip
    return TokeniserRecipe.model_validate(fields | changes)


@pytest.fixture(scope="module")
def learned(tmp_path_factory, photos) -> tuple[Path, Gate]:
    """The run of a tokeniser that has learned something."""
    out = tmp_path_factory.mktemp("tokeniser")
    settings = tokeniser_recipe(photos, steps=150, eval_steps=150)
    return out, train_tokeniser(settings, out, photos=photos[1])


@pytest.fixture(scope="module")
def frozen(learned) -> Path:
    """Folder of that tokeniser."""
    return learned[0] / "model"


def recipe(photos, tokeniser: Path, **changes: object) -> AlignVarRecipe:
    fields = {
        "name": "toy", "size": "tiny", "photos": photos[0], "tokeniser": tokeniser, "batch": 8, "steps": 6, "ema": 0.9,
        "eval_steps": 3, "threads": 1, "optimiser": {"learning_rate": 3e-3, "warmup_steps": 0}, "crops_per_photo": 4,
    }  # fmt: skip
    return AlignVarRecipe.model_validate(fields | changes)


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([value.float().flatten() for value in model.state_dict().values()])


def log_of(out: Path) -> list[dict]:
    checkpoint = last_whole_checkpoint(out / "checkpoints")
    assert checkpoint is not None
    return json.loads((checkpoint / "trainer_state.json").read_text())["log_history"]


def test_a_tokeniser_learns_pictures_it_has_not_seen(photos, learned, tmp_path: Path) -> None:
    before = train_tokeniser(tokeniser_recipe(photos, steps=1), tmp_path, photos=photos[1])
    out, after = learned
    assert after.ours.psnr > before.ours.psnr + 2
    assert after.ours.ssim > before.ours.ssim + 0.2
    used = [entry["used"] for entry in log_of(out) if "used" in entry]
    assert used[-1] > 0.5
    spread = load_tokeniser(out / "model").latent_std
    assert (spread > 0).all()
    assert not torch.equal(spread, torch.ones_like(spread))


def test_a_stopped_tokeniser_goes_on_to_the_same_weights(photos, tmp_path: Path) -> None:
    settings = tokeniser_recipe(photos, adversary={"start": 0.0, "width": 8}, ema=0.9)
    train_tokeniser(settings, tmp_path, photos=photos[1])
    whole = load_tokeniser(tmp_path / "model")
    shutil.rmtree(tmp_path / "checkpoints" / "checkpoint-6")
    shutil.rmtree(tmp_path / "model")
    train_tokeniser(settings, tmp_path, photos=photos[1])
    assert torch.allclose(weights(whole), weights(load_tokeniser(tmp_path / "model")), atol=1e-6)
    train_tokeniser(settings.model_copy(update={"seed": 1}), tmp_path / "other", photos=photos[1])
    assert not torch.allclose(weights(whole), weights(load_tokeniser(tmp_path / "other/model")), atol=1e-3)


def test_a_transformer_learns_the_codes_of_pictures_it_has_not_seen(photos, frozen: Path, tmp_path: Path) -> None:
    trained = train_alignvar(recipe(photos, frozen, steps=120, eval_steps=60, batch=16), tmp_path, photos=photos[1])
    losses = [entry["eval_ce"] for entry in log_of(tmp_path) if "eval_ce" in entry]
    assert losses[-1] < 3.0  # log 32 = 3.47 is knowing nothing
    assert set(trained.held_out) == {"bicubic", "realesrgan-mild"}
    assert trained.held_out["bicubic"]["ours"].psnr > 14
    loaded = load(tmp_path / "model")
    assert loaded.facts["held_out"]["bicubic"]["ours"]["psnr"] == trained.held_out["bicubic"]["ours"].psnr


def test_a_stopped_transformer_goes_on_to_the_same_weights(photos, frozen: Path, tmp_path: Path) -> None:
    settings = recipe(photos, frozen)
    train_alignvar(settings, tmp_path, photos=photos[1])
    whole = load(tmp_path / "model").model
    shutil.rmtree(tmp_path / "checkpoints" / "checkpoint-6")
    shutil.rmtree(tmp_path / "model")
    train_alignvar(settings, tmp_path, photos=photos[1])
    assert torch.allclose(weights(whole), weights(load(tmp_path / "model").model), atol=1e-6)


def test_the_frozen_tokeniser_stays_as_it_is(photos, frozen: Path, tmp_path: Path) -> None:
    train_alignvar(recipe(photos, frozen, steps=3), tmp_path, photos=photos[1])
    assert torch.equal(weights(load_tokeniser(frozen)), weights(load(tmp_path / "model").tokeniser))


def test_a_decoder_learns_from_predicted_codes_and_nothing_else_changes(photos, frozen: Path, tmp_path: Path) -> None:
    trained = load(train_alignvar(recipe(photos, frozen, steps=3), tmp_path / "transformer", photos=photos[1]).folder)
    torch.manual_seed(0)
    for parameter in trained.tokeniser.decoder.parameters():
        parameter += 0.3 * torch.randn_like(parameter)
    spoilt = tmp_path / "spoilt"
    save(trained.model, trained.tokeniser, spoilt)
    taken = {"name", "size", "photos", "batch", "ema", "threads", "optimiser", "crops_per_photo"}
    fields = recipe(photos, frozen, ema=0).model_dump(include=taken)
    fields |= {"trained": spoilt, "decode": "soft", "crops_kept": 32}
    before, after, sharper = (
        train_decoder(
            DecoderRecipe.model_validate(fields | {"steps": steps, "eval_steps": steps, "gmsd": gmsd}),
            tmp_path / f"{steps}-{gmsd}",
            photos=photos[1],
        )
        for steps, gmsd in ((1, 0), (80, 0), (80, 2))
    )
    for preset, start in before.held_out.items():
        assert after.held_out[preset]["ours"].psnr > start["ours"].psnr + 2
        assert sharper.held_out[preset]["ours"].gmsd < after.held_out[preset]["ours"].gmsd
    old, new = load(spoilt), load(after.folder)
    assert (old.decode, new.decode) == ("greedy", "soft")
    assert torch.equal(weights(old.model), weights(new.model))
    assert torch.equal(weights(old.tokeniser.encoder), weights(new.tokeniser.encoder))
    assert torch.equal(weights(old.tokeniser.pyramid), weights(new.tokeniser.pyramid))
    assert not torch.equal(weights(old.tokeniser.decoder), weights(new.tokeniser.decoder))


def test_time_ends_a_run_with_its_schedule_and_the_same_command_then_adds_no_step(photos, tmp_path: Path) -> None:
    settings = tokeniser_recipe(photos, steps=100_000, eval_steps=50_000)
    train_tokeniser(settings, tmp_path, photos=photos[1], max_minutes=0.03)
    log = log_of(tmp_path)
    steps = log[-1]["step"]
    assert 1 < steps < 100_000
    assert min(entry["learning_rate"] for entry in log if "learning_rate" in entry) < 3e-3 / 10
    train_tokeniser(settings, tmp_path, photos=photos[1], max_minutes=0.03)
    assert log_of(tmp_path)[-1]["step"] == steps
    assert (tmp_path / "model").is_dir()


def test_a_folder_of_another_recipe_is_refused(photos, tmp_path: Path) -> None:
    train_tokeniser(tokeniser_recipe(photos, steps=1), tmp_path, photos=photos[1])
    with pytest.raises(UserError, match=r"batch was 8 and is 4"):
        train_tokeniser(tokeniser_recipe(photos, steps=2, batch=4), tmp_path, photos=photos[1])


def test_a_tokeniser_of_another_size_is_refused_before_anything_is_written(photos, frozen: Path, tmp_path) -> None:
    with pytest.raises(UserError, match=r"has the scales \[1, 2, 3, 4\] and 32 codes; size: nano needs"):
        train_alignvar(recipe(photos, frozen, size="nano"), tmp_path / "run", photos=photos[1])
    assert not (tmp_path / "run").exists()


def test_averages_forget_the_start_and_then_follow_slowly() -> None:
    averaged = [torch.tensor([0.0])]
    update = averaging(0.9)
    for count in range(1, 100):
        update(averaged, [torch.tensor([1.0])], torch.tensor(count))
    assert averaged[0].item() == pytest.approx(1, abs=1e-3)
    update(averaged, [torch.tensor([0.0])], torch.tensor(100))
    assert averaged[0].item() == pytest.approx(0.9, abs=1e-2)


def test_a_clock_counts_over_all_starts() -> None:
    clock = Clock(10.0)
    clock.start(4.0)
    assert clock.share() == pytest.approx(0.4, abs=1e-3)
    clock.start(12.0)
    assert clock.share() == 1
    assert Clock(None).share() == 0


def test_each_side_of_the_duel_gets_its_own_gradient_only() -> None:
    torch.manual_seed(0)
    adversary = Discriminator(8)
    decoded, real = torch.randn(2, 3, 16, 16, requires_grad=True), torch.randn(2, 3, 16, 16)
    fooling_loss(adversary, decoded).backward()
    assert decoded.grad is not None
    assert all(parameter.grad is None for parameter in adversary.parameters())
    decoded.grad = None
    hinge_loss(adversary, decoded, real).backward()
    assert decoded.grad is None
    assert all(parameter.grad is not None for parameter in adversary.parameters())


def fidelity(psnr: float, gmsd: float, high_frequency: float) -> Fidelity:
    return Fidelity(psnr, 0.8, gmsd, high_frequency, None, 10)


def test_the_tokeniser_gate_asks_for_more_than_bicubic_in_both() -> None:
    bicubic = fidelity(27.8, 0.107, 0.2)
    assert tokeniser_gate(fidelity(28.5, 0.044, 0.8), bicubic).passed
    missed = tokeniser_gate(fidelity(27.0, 0.120, 0.8), bicubic)
    assert not missed.passed
    assert "PSNR 27.00 dB is not above bicubic's 27.80 dB" in str(missed)
    assert "GMSD 0.1200 is not below" in str(missed)


def test_the_release_gate_allows_one_db_for_half_again_the_high_frequencies() -> None:
    bicubic = fidelity(27.8, 0.107, 0.2)
    assert release_gate(fidelity(26.9, 0.107, 0.31), bicubic).passed
    for wrong in (fidelity(26.7, 0.1, 0.31), fidelity(27.8, 0.108, 0.31), fidelity(27.8, 0.1, 0.29)):
        assert len(release_gate(wrong, bicubic).failed) == 1


def test_measured_numbers_are_means_and_high_frequencies_a_ratio_of_sums(render_picture) -> None:
    true = np.stack([np.asarray(render_picture(seed, (64, 64))) for seed in (1, 2)])
    hr = torch.from_numpy(true).permute(0, 3, 1, 2)
    same = measure(hr.float() / 255, hr, torch.nn.functional.avg_pool2d(hr.float() / 255, 4))
    assert same.psnr == float("inf")
    assert (same.gmsd, same.high_frequency, same.n) == (0, 1, 2)
    assert same.lr_consistency is not None
    assert same.lr_consistency > 25
    flat = measure(torch.full(hr.shape, 0.5), hr)
    assert flat.high_frequency < 1e-12
    assert flat.lr_consistency is None


def test_a_tokeniser_that_sees_no_small_picture_takes_no_degradation(photos) -> None:
    with pytest.raises(ValueError, match="sees no LR pictures"):
        tokeniser_recipe(photos, degradation={"bicubic": 1.0})
