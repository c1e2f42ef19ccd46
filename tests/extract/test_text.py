from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the extra emotion")

from beholder.errors import UserError
from beholder.extract.limits import MAX_CHARACTERS, ExtractError
from beholder.extract.words import Config, fit, measure, project

TEXTS = [
    "I love it so much",
    "love it, I love this",
    "I hate it",
    "hate this so much",
    "this is fine",
    "fine, so it is",
]


def test_words_are_weighted_as_scikit_learn_does() -> None:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    config = Config(components=4)
    learnt = fit(TEXTS, config)
    counts = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    svd = TruncatedSVD(4, random_state=0)
    expected = svd.fit_transform(counts.fit_transform(TEXTS))
    assert list(learnt.words) == counts.get_feature_names_out().tolist()
    np.testing.assert_allclose(project(TEXTS, config, learnt), counts.transform(TEXTS) @ svd.components_.T, atol=1e-12)
    np.testing.assert_allclose(np.abs(expected), np.abs(project(TEXTS, config, learnt)), atol=1e-6)


def test_unknown_words_are_zero_and_add_nothing() -> None:
    config = Config(components=3)
    learnt = fit(TEXTS, config)
    unknown, known, both = project(["zebra crossing", "hate", "hate zebra"], config, learnt)
    assert not unknown.any()
    np.testing.assert_allclose(known, both)


def test_texts_without_a_common_word_are_explained() -> None:
    with pytest.raises(UserError, match="a smaller min_df"):
        fit(["alpha", "beta"], Config())


def test_text_comes_from_a_cell_or_a_file_and_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_text("  Grüße\n", encoding="utf-8")
    assert measure(file, Config()) == measure("Grüße", Config()) == "Grüße"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ExtractError, match="UTF-8"):
        measure(file, Config())
    file.write_bytes(b" \n ")
    with pytest.raises(ExtractError, match="0 characters"):
        measure(file, Config())
    with pytest.raises(ExtractError, match="characters"):
        measure("x" * (MAX_CHARACTERS + 1), Config())
