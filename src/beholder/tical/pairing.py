"""What the study on constructed pairing draws: samples whose modalities, conflicts and odd ones are known.

Two rules of the label: the class of the modalities that were not replaced, or what people name who hear and see both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from beholder.tical.constructed import EMOTIONS, Collection, Constructed, draw_people, draw_samples, read_collections
from beholder.tical.inputs import standardize_within
from beholder.tical.raw.learned import Learned
from beholder.tical.raw.text import apply_tfidf, learn_tfidf
from beholder.tical.votes import Votes, majority, research_actors

Array = NDArray[np.float64]
Rule = Literal["others", "people"]

COUNTS = {"train": 8000, "valid": 2000, "test": 4000}

_FIRST_SEED = 1000  # the embedded model was made and measured with small ones


@dataclass(frozen=True)
class Part:
    """Samples of one part of a draw, (n,) of everything."""

    drawn: Constructed
    x: dict[str, Array]
    """(n, d): functionals of the voice, standardised within its speaker without labels; of the face HOG; TF-IDF."""
    group: dict[str, NDArray[Any]]
    """The speaker of a voice, the picture of a face, the dialogue of a text."""


def draw(
    items: Path, people: Array, rule: Rule, rho: float, seed: int, counts: Mapping[str, int] = COUNTS
) -> dict[str, Part]:
    """Samples of each part, of the collections in `items`; a share `rho` of them is in conflict.

    Rule `others`: voice, face and text, of which one may be odd. Rule `people`: voice and face, labelled by `people`.
    Raises UserError where a collection is missing.
    """
    found = _as_features(read_collections(items, _FIRST_SEED + seed))
    rng = np.random.default_rng([_FIRST_SEED + seed, 1])
    out = {}
    for part, n in counts.items():
        if rule == "people":
            drawn = draw_people(found, part, n, rho, people, rng)
        else:
            drawn = draw_samples(found, part, n, rho, rng)
        x = {m: found[m].items[rows] for m, rows in drawn.rows.items()}
        out[part] = Part(drawn, x, {m: found[m].group[rows] for m, rows in drawn.rows.items()})
    return out


def people_table(votes: Votes) -> Array:
    """P(label of those who hear and see | majority of the voice, majority of the face), (6, 6, 6).

    From the research actors of the votes only, clips with three unique majorities. One made-up clip is added for the
    voice and one for the face, so that no pair is without any.
    """
    inside = np.isin(votes.actor, research_actors(votes.actor))
    voice, face, label = (majority(votes.counts[c][inside]) for c in ("voice", "face", "av"))
    known = (voice >= 0) & (face >= 0) & (label >= 0)
    k = len(EMOTIONS)
    counts = np.zeros((k, k, k))
    np.add.at(counts, (voice[known], face[known], label[known]), 1)
    for i in range(k):
        counts[i, :, i] += 1
        counts[:, i, i] += 1
    out: Array = counts / counts.sum(axis=2, keepdims=True)
    return out


def _as_features(found: Mapping[str, Collection]) -> dict[str, Collection]:
    """Voices standardised within their speaker; texts as vectors, learned from those of the training part."""
    voice, text = found["voice"], found["text"]
    standardised = standardize_within({"voice": voice.items}, voice.group, "speaker")["voice"]
    vectors = apply_tfidf(_learned(tuple(text.items[text.part == "train"])), text.items.tolist())
    return {**found, "voice": replace(voice, items=standardised), "text": replace(text, items=vectors)}


@lru_cache(maxsize=1)
def _learned(texts: tuple[str, ...]) -> Learned:
    """The same for every seed, whose texts are split by their source."""
    return learn_tfidf(texts)
