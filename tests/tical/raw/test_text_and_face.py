from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from beholder.errors import UserError
from beholder.tical.raw.face import hog_of
from beholder.tical.raw.learned import apply_pca, learn_pca
from beholder.tical.raw.text import apply_tfidf, learn_tfidf

TEXTS = ["a happy day", "a sad day", "a happy happy morning", "such a sad morning", "nothing at all"] * 4


def test_text_keeps_the_angles_of_tfidf() -> None:
    learned = learn_tfidf(TEXTS)
    found = apply_tfidf(learned, TEXTS)
    whole = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True).fit_transform(TEXTS).toarray()
    assert np.abs(found @ found.T - whole @ whole.T).max() < 0.01


def test_text_without_a_known_word_is_nothing() -> None:
    learned = learn_tfidf(TEXTS)
    assert (apply_tfidf(learned, ["zzz"]) == 0).all()
    with pytest.raises(UserError, match="no word occurs"):
        learn_tfidf(["one", "two", "three"])


def test_a_turned_edge_is_another_gradient_and_grey_is_none() -> None:
    pytest.importorskip("skimage")
    up = np.zeros((60, 60, 3), np.uint8)
    up[:, 30:] = 255
    assert hog_of(up).shape == (800,)
    assert np.abs(hog_of(up) - hog_of(up.transpose(1, 0, 2))).max() > 0.1
    assert (hog_of(np.full((48, 48, 3), 90, np.uint8)) == 0).all()


def test_principal_components_are_those_of_what_was_learned() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 2)) @ rng.normal(size=(2, 30)) + 3
    learned = learn_pca(rows, 2)
    found = apply_pca(learned, rows)
    assert np.abs(found @ learned.arrays["components"] + learned.arrays["mean"] - rows).max() < 0.02
    assert learn_pca(rows[:5], 128).arrays["components"].shape == (5, 30)
