"""`tfidf_svd`: how often words and pairs of words occur, weighted by how rare they are, in a hundred numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from beholder.errors import UserError
from beholder.extract.learnt import Learnt
from beholder.extract.limits import MAX_CHARACTERS, ExtractError, check_file

Array = NDArray[np.float64]


class Config(BaseModel):
    """Settings of `tfidf_svd`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ngrams: int = Field(default=2, ge=1, le=3)
    """Longest run of words that is counted as one."""
    min_df: int = Field(default=2, ge=1)
    """Training texts that a word is in at least."""
    max_words: int = Field(default=20_000, ge=10)
    """The most frequent ones."""
    components: int = Field(default=100, ge=1)
    """Kept at most; fewer where there are fewer words or texts."""


def read_text(source: str | Path) -> str:
    """Text as it is, or of a UTF-8 file. Raises ExtractError for more than 100,000 characters, or no text."""
    text = source
    if isinstance(source, Path):
        check_file(source)
        if source.stat().st_size > 4 * MAX_CHARACTERS:
            raise ExtractError(
                f"{source} has {source.stat().st_size} bytes; texts of {MAX_CHARACTERS:,} characters are read"
            )
        try:
            text = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ExtractError(f"{source} can't be read as UTF-8: {error}") from error
    text = str(text).strip()
    if not text or len(text) > MAX_CHARACTERS:
        raise ExtractError(f"a text has {len(text)} characters; 1 to {MAX_CHARACTERS:,} are read")
    return text


def measure(source: str | Path, config: Config) -> str:
    """The text."""
    return read_text(source)


def fit(measured: Sequence[str], config: Config) -> Learnt:
    """Words, their rarity and the projection, of the training texts. Raises UserError where they share no word."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    counts = TfidfVectorizer(
        ngram_range=(1, config.ngrams), min_df=config.min_df, max_features=config.max_words, sublinear_tf=True
    )
    try:
        x = counts.fit_transform(measured)
    except ValueError as error:
        raise UserError(
            f"tfidf_svd finds no word that is in {config.min_df} of the {len(measured)} training texts: {error}. "
            "Give more texts, or a smaller min_df"
        ) from error
    words = counts.get_feature_names_out().tolist()
    # The solver wants fewer components than rows and columns.
    kept = min(config.components, min(x.shape) - 1)
    components = TruncatedSVD(kept, random_state=0).fit(x).components_ if kept > 0 else np.eye(len(words))
    return Learnt({"idf": counts.idf_, "components": components}, tuple(words))


def project(measured: Sequence[str], config: Config, learnt: Learnt) -> Array:
    """(n, components); a text without any known word is 0."""
    out: Array = _counts(config, learnt).transform(measured) @ learnt.arrays["components"].T
    return np.asarray(out)


def _counts(config: Config, learnt: Learnt) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    counts = TfidfVectorizer(ngram_range=(1, config.ngrams), sublinear_tf=True, vocabulary=list(learnt.words))
    counts.idf_ = np.asarray(learnt.arrays["idf"], np.float64)
    return counts
