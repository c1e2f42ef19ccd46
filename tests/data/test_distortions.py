import csv
from pathlib import Path

import numpy as np
import pytest

from beholder.data.distortions import FAMILIES, distort, read_priors
from beholder.errors import UserError

RANDOM = {"motion_blur", "noise", "night_noise", "impulse_noise", "colour_cast", "smear"}


@pytest.fixture(scope="module")
def scenes(render_picture):
    return [np.asarray(render_picture(seed, (150, 101))) for seed in range(3)]


def error(clean: np.ndarray, damaged: np.ndarray) -> float:
    return float(np.mean((clean.astype(float) - damaged.astype(float)) ** 2))


def write_priors(file: Path, scores: dict[str, list[float]], dataset: str = "KADID-10k") -> Path:
    """A CSV of opinions at levels 1 to 5 per family of KADID-10k."""
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["dataset", "distortion_name", "level", "mean_score"])
        for name, means in scores.items():
            writer.writerows([dataset, name, level, mean] for level, mean in enumerate(means, 1))
    return file


@pytest.fixture
def opinions() -> dict[str, list[float]]:
    return {family.prior: [4.2, 3.6, 3.0, 2.1, 1.4] for family in FAMILIES.values()}


@pytest.mark.parametrize("family", FAMILIES)
def test_damage_keeps_shape_and_type_and_leaves_the_clean_picture_alone(family, scenes):
    before = scenes[0].copy()
    for level in (0.3, 1, 2.5, 5):
        damaged = distort(scenes[0], family, level, seed=1)
        assert (damaged.shape, damaged.dtype) == (before.shape, np.uint8)
    np.testing.assert_array_equal(scenes[0], before)


@pytest.mark.parametrize("family", FAMILIES)
def test_level_0_is_a_copy(family, scenes):
    untouched = distort(scenes[0], family, 0, seed=1)
    np.testing.assert_array_equal(untouched, scenes[0])
    assert not np.shares_memory(untouched, scenes[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_seed_decides_random_damage_and_nothing_else(family, scenes):
    first, again, other = (distort(scenes[0], family, 3, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (family not in RANDOM)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_level_does_more_harm_than_the_one_before(family, scenes):
    harm = [np.mean([error(clean, distort(clean, family, level, seed=2)) for clean in scenes]) for level in range(6)]
    assert harm[0] == 0
    assert np.all(np.diff(harm) > 0), harm


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"jpeg", "banding"}))
def test_damage_fades_towards_level_0(family, scenes):
    assert error(scenes[0], distort(scenes[0], family, 0.05, seed=2)) < error(
        scenes[0], distort(scenes[0], family, 1, seed=2)
    )


@pytest.mark.parametrize("level", [-1, 5.01, float("nan")])
def test_a_level_off_the_scale_is_named(level, scenes):
    with pytest.raises(ValueError, match=rf"level = {level:g} of blur is outside \(0, 5\]"):
        distort(scenes[0], "blur", level, seed=0)


def test_an_unknown_family_is_a_key_error(scenes):
    with pytest.raises(KeyError, match="rust"):
        distort(scenes[0], "rust", 2, seed=0)


def test_priors_are_unit_scores_that_start_at_the_best_and_never_rise(tmp_path, opinions):
    opinions["JPEG"] = [4.0, 4.4, 3.0, 3.2, 1.0]  # raters did not punish the steps to level 2 and 4
    priors = read_priors(write_priors(tmp_path / "p.csv", opinions))
    assert set(priors) == set(FAMILIES)
    best = (4.4 - 1) / 4
    assert priors["jpeg"] == pytest.approx((best, 0.75, 0.75, 0.5, 0.5, 0.0))
    assert priors["blur"] == pytest.approx((best, 0.8, 0.65, 0.5, 0.275, 0.1))
    assert all(np.all(np.diff(levels) <= 0) for levels in priors.values())


def test_a_family_without_opinions_is_named_with_the_file(tmp_path, opinions):
    del opinions["Motion_Blur"]
    file = write_priors(tmp_path / "p.csv", opinions)
    with pytest.raises(ValueError, match=r"p\.csv has no five KADID-10k levels of 'Motion_Blur'.*'motion_blur'"):
        read_priors(file)


def test_opinions_of_other_sets_are_not_mixed_in(tmp_path, opinions):
    file = write_priors(tmp_path / "p.csv", opinions)
    before = read_priors(file)
    both = tmp_path / "both.csv"
    other = write_priors(tmp_path / "o.csv", dict.fromkeys(opinions, [9.0] * 5), dataset="TID2013")
    both.write_text(file.read_text() + other.read_text().split("\n", 1)[1])
    assert read_priors(both) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset,distortion_name,level\n", "lacks the columns mean_score"),
        ("dataset,distortion_name,level,mean_score\nTID2013,Blur,1,5.0\n", "no row of the data set KADID-10k"),
    ],
)
def test_a_table_that_is_not_one_of_priors_is_one_clear_line(tmp_path, text, message):
    (tmp_path / "priors.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_priors(tmp_path / "priors.csv")
