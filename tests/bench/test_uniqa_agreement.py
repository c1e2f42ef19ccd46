import json

import numpy as np
import pytest

pytest.importorskip("transformers")

import uniqa_agreement
from nano_uniqa import tiny_model, write_bright

from beholder.errors import UserError


def draws(n: int, noise: float) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    return [truth + noise * rng.normal(size=200) for _ in range(n)]


def test_a_way_without_noise_is_ahead_of_noisy_draws_and_a_noisier_one_behind(monkeypatch):
    monkeypatch.setattr(uniqa_agreement, "RESAMPLED", 200)
    some = draws(4, 0.3)
    truth = np.mean(draws(60, 0.3), axis=0)
    ahead, low, high = uniqa_agreement.lead(truth, some)
    assert 0 < low < ahead < high
    noisier = truth + np.random.default_rng(1).normal(size=200)
    ahead, low, high = uniqa_agreement.lead(noisier, some)
    assert low < ahead < high < 0


def test_every_way_is_measured_on_unseen_pictures(tmp_path, monkeypatch):
    write_bright(tmp_path / "set", "quality", ["train"] * 4 + ["test"] * 6)
    model = tiny_model()
    model.adapt("quality")
    model.save(tmp_path / "model")
    monkeypatch.setattr(uniqa_agreement, "WAYS", {"5 views, int8": (5, True)})
    monkeypatch.setattr(uniqa_agreement, "RESAMPLED", 20)
    uniqa_agreement.main([str(tmp_path / "model"), str(tmp_path / "set"), "--results", str(tmp_path)])
    result = json.loads((tmp_path / "uniqa-agreement.json").read_text())
    assert result["measured"]["n"] == 6
    assert [row[0] for row in result["table"]["rows"]] == ["10 other random crops", "5 views, int8"]
    assert len(result["limits"]) == 1


def test_a_set_without_test_pictures_is_refused(tmp_path):
    with pytest.raises(UserError, match="0 test pictures"):
        uniqa_agreement.unseen(write_bright(tmp_path / "set", "quality", ["train"] * 4), 10)
