"""How close two texts are: one protocol, the text tower of a CLIP behind it, or nothing but the texts themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

Similarities = NDArray[np.float64]


class TextEncoder(Protocol):
    """Turns texts into rows of unit length, so that a dot product is their cosine."""

    name: str

    def encode(self, texts: Sequence[str]) -> Any:
        """(n, d) array, dense or scipy-sparse; a text that shares nothing with what was fitted may be all zeros."""
        ...


class Tfidf:
    """TF-IDF of words and pairs of words, fitted on the texts that are to be compared; needs no model.

    Words are lower-cased, English stop words left out, counts damped by 1 + log.
    """

    name = "tfidf"

    def __init__(self, texts: Sequence[str], *, ngrams: int = 1) -> None:
        self._vectors = TfidfVectorizer(
            lowercase=True, sublinear_tf=True, stop_words="english", strip_accents="unicode", ngram_range=(1, ngrams)
        ).fit(texts)

    def encode(self, texts: Sequence[str]) -> Any:
        """As `TextEncoder.encode`; sparse."""
        return self._vectors.transform(texts)


class Lsa:
    """Latent semantic analysis: TF-IDF on its leading singular directions, so that related words count as close."""

    def __init__(self, texts: Sequence[str], dimensions: int = 32, seed: int = 0) -> None:
        self._tfidf = Tfidf(texts)
        matrix = self._tfidf.encode(texts)
        self._svd = TruncatedSVD(min(dimensions, min(matrix.shape) - 1), random_state=seed).fit(matrix)
        self.name = f"lsa{dimensions}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """As `TextEncoder.encode`; dense."""
        return np.asarray(normalize(self._svd.transform(self._tfidf.encode(texts))), np.float64)


class ClipText:
    """The text tower of a CLIP or SigLIP by name or folder: the paper's choice, cut at its context length."""

    def __init__(self, name_or_folder: str | Path, batch: int = 256) -> None:
        import torch

        from beholder.uniqa.model import Uniqa

        self.name = f"clip:{Path(name_or_folder).name}"
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = Uniqa.from_encoder(name_or_folder).to(self._device).eval()
        self._batch = batch

    def encode(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """As `TextEncoder.encode`; dense."""
        import torch

        parts = []
        with torch.inference_mode():
            for start in range(0, len(texts), self._batch):
                features = self._model.encode_text(texts[start : start + self._batch])
                parts.append(features.float().cpu().numpy().astype(np.float64))
        return np.asarray(normalize(np.concatenate(parts)), np.float64)


def closest(encoder: TextEncoder, texts: Sequence[str], references: Sequence[str]) -> Similarities:
    """(n,) cosine of each text with the reference that is closest to it."""
    rows = encoder.encode([*texts, *references])
    product = rows[: len(texts)] @ rows[len(texts) :].T
    cosines = product.toarray() if hasattr(product, "toarray") else np.asarray(product)
    return np.asarray(cosines.max(axis=1), np.float64)
