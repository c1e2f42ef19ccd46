from __future__ import annotations

import numpy as np
import pytest

from beholder.tical.consistency import Consistency, agree, assess_consistency

A, B, EVEN = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])
SURE = {"voice": np.ones(1), "face": np.ones(1)}


def consistency(voice: np.ndarray, face: np.ndarray, typicality: dict[str, np.ndarray] = SURE) -> Consistency:
    return assess_consistency({"voice": voice, "face": face}, typicality, prior=0.6, eps=0.25, kind="jsd")


def test_equal_labels_agree_and_disjoint_ones_do_not() -> None:
    assert agree(A, A, "jsd") == pytest.approx(1.0)
    assert agree(A, B, "jsd") == pytest.approx(0.0)
    assert agree(EVEN, A, "jsd") == pytest.approx(1 - 0.31128, abs=1e-5)
    assert agree(EVEN, A, "overlap") == pytest.approx(0.5)


def test_agreement_is_drawn_towards_the_training_mean() -> None:
    assert consistency(A, B).value == pytest.approx(0.12)
    assert consistency(A, A).value == pytest.approx(0.92)


def test_untypical_modalities_leave_only_the_training_mean() -> None:
    found = consistency(A, B, {"voice": np.full(1, 1e-9), "face": np.ones(1)})
    assert found.value == pytest.approx(0.6, abs=1e-6)
    assert not found.known[0]


def test_one_modality_has_no_consistency() -> None:
    found = consistency(A, np.full((1, 2), np.nan), {"voice": np.ones(1), "face": np.full(1, np.nan)})
    assert np.isnan(found.value[0])
    assert not found.known[0]
    assert found.gate["voice", "face"][0] == 0


def test_of_three_modalities_the_typical_pair_counts_most() -> None:
    pseudo = {"voice": A, "face": A, "text": B}
    t = {"voice": np.ones(1), "face": np.ones(1), "text": np.full(1, 0.1)}
    found = assess_consistency(pseudo, t, prior=0.6, eps=0.25, kind="jsd")
    assert found.value == pytest.approx((0.25 * 0.6 + 1) / (0.25 + 1.2))
