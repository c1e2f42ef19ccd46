"""Does purification find the comments that say nothing? Precision and recall on photo critiques with planted noise.

    python bench/purify.py PCCD_JSON [--seeds 5]

Real comments are the aspect texts of critiques from the Photo Critique Captioning Dataset (PCCD, CC BY 4.0). The photos
are not part of it, so no text can be generated for them; the critic's general impression stands in for it: it is the
reference, and never a comment. Each photo gets one planted comment of each kind in `noise_comments`. What is dropped is
called noise: precision is the share of noise in what is dropped, recall the share of the noise that is dropped. 4
comments are kept of 9 to 11, so not even a perfect choice has a precision of 1.

The similarity is chosen on one half of the photos, and all numbers are of the other half. Intervals resample photos;
every photo brings all its seeds. Without PCCD_JSON nothing is measured.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from noise_comments import KINDS, make_noise
from numpy.typing import NDArray
from record import RESULTS, Table, publish, script

from beholder.data.split import split_groups
from beholder.errors import UserError
from beholder.evaluate.bootstrap import resample_counts
from beholder.uniqa.purify import KEEP, MIN_WORDS, best, n_words, ranks
from beholder.uniqa.similarity import Lsa, TextEncoder, Tfidf, closest

REFERENCE = "general_impression"
ASPECTS = ("composition", "color_lighting", "depth_of_field", "focus", "subject_of_photo", "use_of_camera")
SIMILARITIES: dict[str, Callable[[Sequence[str]], TextEncoder]] = {
    "TF-IDF": Tfidf,
    "TF-IDF, pairs of words": lambda texts: Tfidf(texts, ngrams=2),
    "LSA, 32": lambda texts: Lsa(texts, 32),
    "LSA, 128": lambda texts: Lsa(texts, 128),
    "LSA, 256": lambda texts: Lsa(texts, 256),
}
RESAMPLES = 1000

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Photo:
    """A reference and what people said."""

    name: str
    reference: str
    comments: tuple[str, ...]


@dataclass(frozen=True)
class Mixed:
    """A photo's comments with noise among them, in random order."""

    reference: str
    comments: tuple[str, ...]
    kinds: tuple[str | None, ...]
    """Kind of noise; None for a real comment."""


Choose = Callable[[Mixed, NDArray[np.float64], Random], list[int]]
"""(photo, similarities, generator) -> indices of the comments that are kept."""

CHOICES: dict[str, Choose] = {
    "random": lambda photo, similarity, rng: rng.sample(range(len(photo.comments)), KEEP),
    "length only": lambda photo, similarity, rng: best(np.zeros(len(similarity)), _length_ranks(photo), KEEP),
    "similarity only": lambda photo, similarity, rng: best(ranks(similarity), np.zeros(len(similarity)), KEEP),
    "similarity + length": lambda photo, similarity, rng: best(ranks(similarity), _length_ranks(photo), KEEP),
}


def read_photos(file: Path) -> list[Photo]:
    """Critiques with a reference and at least `KEEP` comments, all of `MIN_WORDS` words, none there twice."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        photos = []
        for i, row in enumerate(rows):
            texts = dict.fromkeys(row[name].strip() for name in ASPECTS if n_words(row[name]) >= MIN_WORDS)
            if n_words(row[REFERENCE]) >= MIN_WORDS and len(texts) >= KEEP:
                photos.append(Photo(f"{i} {row['title']}", row[REFERENCE], tuple(texts)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is not a PCCD file of critiques: {type(error).__name__} {error}") from None
    return photos


def mix(photos: Sequence[Photo], seed: int) -> list[Mixed]:
    """Each photo's comments with one of each kind of noise, shuffled."""
    mixed = []
    for i, photo in enumerate(photos):
        rng = Random(f"{seed} {photo.name}")
        strangers = list(photos[(i + rng.randrange(1, len(photos))) % len(photos)].comments)
        marked: list[tuple[str, str | None]] = [(text, None) for text in photo.comments]
        marked += [(make_noise(kind, rng, strangers), kind) for kind in KINDS]
        rng.shuffle(marked)
        comments, kinds = zip(*marked, strict=True)
        mixed.append(Mixed(photo.reference, comments, kinds))
    return mixed


def similarities(photos: Sequence[Mixed], make: Callable[[Sequence[str]], TextEncoder]) -> list[NDArray[np.float64]]:
    """Per photo the similarity of each comment to the reference; the encoder is fitted on all texts, as a user's is."""
    encoder = make([text for photo in photos for text in (photo.reference, *photo.comments)])
    return [closest(encoder, photo.comments, [photo.reference]) for photo in photos]


def dropped_of(photos: Sequence[Mixed], similarity: Sequence[NDArray[np.float64]], choose: Choose, seed: int) -> Counts:
    """(photos, 1 + kinds): how many real comments, and how many of each kind of noise, were dropped."""
    counts = np.zeros((len(photos), 1 + len(KINDS)))
    for row, (photo, near) in enumerate(zip(photos, similarity, strict=True)):
        kept = set(choose(photo, near, Random(f"{seed} {row}")))
        for i, kind in enumerate(photo.kinds):
            if i not in kept:
                counts[row, 0 if kind is None else 1 + KINDS.index(kind)] += 1
    return counts


def precision(counts: Counts, weight: NDArray[np.float64]) -> float:
    """Share of noise in what was dropped, of photos weighted by (n,) `weight`."""
    total = weight @ counts
    return float(total[1:].sum() / total.sum())


def recall(counts: Counts, weight: NDArray[np.float64], n_seeds: int, kind: int | None = None) -> float:
    """Share of the noise that was dropped; of one kind if given. Every photo has one comment of each kind per seed."""
    total = weight @ counts[:, 1:]
    n = weight.sum() * n_seeds
    return float(total.sum() / (n * len(KINDS)) if kind is None else total[kind] / n)


def measure(photos: Sequence[Photo], halves: Sequence[str], n_seeds: int) -> tuple[str, dict[str, Counts]]:
    """The similarity that is best on the first half, and what each choice dropped in the second half."""
    is_test = np.array([half == "test" for half in halves])
    dropped: dict[tuple[str, str], Counts] = {}
    for seed in range(n_seeds):
        mixed = mix(photos, seed)
        for name, make in SIMILARITIES.items():
            near = similarities(mixed, make)
            for title, choose in CHOICES.items():
                counts = dropped_of(mixed, near, choose, seed)
                dropped[name, title] = dropped.get((name, title), 0) + counts
    ones = np.ones(int((~is_test).sum()))
    chosen = max(SIMILARITIES, key=lambda name: recall(dropped[name, "similarity + length"][~is_test], ones, n_seeds))
    table = {title: dropped["TF-IDF", title][is_test] for title in ("random", "length only")}
    for name in dict.fromkeys(("TF-IDF", chosen)):
        for title in ("similarity only", "similarity + length"):
            table[f"{title} ({name})"] = dropped[name, title][is_test]
    return chosen, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pccd", nargs="?", type=Path, help="pccd_validation.json or alike")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if given.pccd is None or not given.pccd.is_file():
        print("purify: skipped, there is no file of critiques; give the JSON of PCCD")
        return 0
    photos = read_photos(given.pccd)
    halves = split_groups([photo.name for photo in photos], salt="bench/purify", shares=(0.0, 0.5, 0.5))
    chosen, dropped = measure(photos, halves, given.seeds)
    n = sum(half == "test" for half in halves)
    draws = list(resample_counts(n, None, RESAMPLES, 0))
    found = {title: _estimates(counts, n, given.seeds, draws) for title, counts in dropped.items()}
    rows = [
        [title, _cell(values["precision"]), _cell(values["recall"]), *(f"{values[kind][0]:.3f}" for kind in KINDS)]
        for title, values in found.items()
    ]
    ideal = len(KINDS) * n * given.seeds / float(dropped["random"].sum())
    against = _difference(dropped, f"similarity + length ({chosen})", "length only", given.seeds, draws)
    publish(
        "purify",
        f"Noise among comments: what is dropped, {n} photos of PCCD, {given.seeds} seeds",
        Table(("kept by", "precision", "recall", *(f"of {kind}" for kind in KINDS)), rows),
        measured={
            "chosen_similarity": chosen,
            "estimates": found,
            "highest_precision_possible": ideal,
            "recall_minus_length_only": against,
            "n_photos": n,
            "n_seeds": given.seeds,
            "keep": KEEP,
        },
        notes=[
            f"The similarity was chosen on the other {len(photos) - n} photos: {chosen}.",
            f"Precision can't be above {ideal:.3f} here.",
            f"Recall of similarity + length ({chosen}) less that of length only: {_cell(against)}.",
        ],
        busy_before=None,  # nothing here depends on the clock
        folder=given.results,
    )
    return 0


def _length_ranks(photo: Mixed) -> NDArray[np.float64]:
    return ranks([n_words(comment) for comment in photo.comments])


def _estimates(counts: Counts, n: int, n_seeds: int, draws: Sequence[NDArray[np.float64]]) -> dict[str, list[float]]:
    """Value, low and high of every column of the table."""
    measures: dict[str, Callable[[NDArray[np.float64]], float]] = {
        "precision": lambda weight: precision(counts, weight),
        "recall": lambda weight: recall(counts, weight, n_seeds),
    }
    for i, kind in enumerate(KINDS):
        measures[kind] = lambda weight, i=i: recall(counts, weight, n_seeds, i)
    return {name: [of(np.ones(n)), *_interval([of(draw) for draw in draws])] for name, of in measures.items()}


def _difference(
    dropped: dict[str, Counts], first: str, second: str, n_seeds: int, draws: Sequence[NDArray[np.float64]]
) -> list[float]:
    def of(weight: NDArray[np.float64]) -> float:
        return recall(dropped[first], weight, n_seeds) - recall(dropped[second], weight, n_seeds)

    return [of(np.ones(len(dropped[first]))), *_interval([of(draw) for draw in draws])]


def _interval(values: Sequence[float]) -> list[float]:
    return [float(edge) for edge in np.quantile(values, [0.025, 0.975])]


def _cell(estimate: Sequence[float]) -> str:
    value, low, high = estimate
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    script(main)
