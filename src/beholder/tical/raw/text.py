"""Text to vectors without a language model: TF-IDF of words and pairs of words, reduced by a truncated SVD."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from beholder.errors import UserError
from beholder.tical.raw.learned import Array, Learned

WIDTH, MIN_ROWS = 100, 2


def learn_tfidf(texts: Sequence[str], width: int = WIDTH, min_rows: int = MIN_ROWS) -> Learned:
    """Words and pairs that occur in `min_rows` texts or more, their weights, and `width` directions at most.

    Raises UserError where no word occurs that often.
    """
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), min_df=min(min_rows, len(texts)), sublinear_tf=True)
    try:
        weights = vectoriser.fit_transform(texts)
    except ValueError as error:
        raise UserError(
            f"tfidf_svd: no word occurs in {min_rows} of {len(texts)} training texts or more; it needs more text"
        ) from error
    most = min(width, weights.shape[0], weights.shape[1])
    svd = TruncatedSVD(most, algorithm="arpack" if most < min(weights.shape) else "randomized", random_state=0)
    svd.fit(weights)
    arrays = {"idf": vectoriser.idf_.astype(np.float32), "components": svd.components_.astype(np.float16)}
    return Learned(arrays, {"vocabulary": vectoriser.get_feature_names_out().tolist()})


def apply_tfidf(learned: Learned, texts: Sequence[str]) -> Array:
    """(n, width) float64; a text without any known word is all 0."""
    idf: NDArray[np.float64] = learned.arrays["idf"].astype(np.float64)
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, vocabulary=learned.facts["vocabulary"])
    vectoriser.idf_ = idf
    out: Array = vectoriser.transform(texts) @ learned.arrays["components"].astype(np.float64).T
    return out
