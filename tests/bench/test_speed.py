import sys

import pictures
import pytest
import speed


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return pictures.squares(tmp_path_factory.mktemp("squares"), 4, side=224)


def test_the_real_command_is_timed(tmp_path, files, tiny_model, monkeypatch):
    monkeypatch.setattr(speed, "REPEATS", 1)
    whole, steady = speed.measure_beholder(files, str(tiny_model), tmp_path)
    assert whole.per_s > 0
    assert steady.per_s > whole.per_s, "the steady rate leaves the start out"
    assert (tmp_path / "scores.parquet").is_file()


def test_published_metrics_that_are_not_there_are_skipped_by_name(files):
    rates = speed.measure_published(files, sys.executable, ["niqe", "no_such_metric"])
    assert [rate.name for rate in rates] == ["NIQE, pyiqa", "NO_SUCH_METRIC, pyiqa"]
    assert all(rate.per_s is None and rate.skipped for rate in rates)


def test_ratios_compare_with_the_whole_command_and_with_the_steady_rate():
    rates = [
        speed.Rate("beholder score", 100.0, "a"),
        speed.Rate("steady", 200.0, "b"),
        speed.Rate("slow", 0.4, "c"),
        speed.Rate("absent", None, "", skipped="not installed"),
    ]
    rows = speed.table_of(rates).rows
    assert rows[2] == ["slow", "0.4", "250x", "500x", "c"]
    assert rows[3] == ["absent", "–", "–", "–", "skipped: not installed"]


@pytest.mark.parametrize(("per_s", "met"), [(99.0, [False, False]), (301.0, [True, True])])
def test_promises_are_held_against_the_whole_command(per_s, met):
    ours, decoding, clip = (speed.Rate("", rate, "") for rate in (per_s, 6000.0, 2.0))
    assert [limit.met for limit in speed.limits_of(ours, decoding, clip)] == met


def test_ten_clip_crops_score_a_picture(files):
    pytest.importorskip("transformers")
    import clip_crops

    small = clip_crops.CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        patch_size=32, image_size=clip_crops.SIDE, projection_dim=16,
    )  # fmt: skip
    assert 0 <= clip_crops.TenCrops(small).score(files[0]) <= 1
