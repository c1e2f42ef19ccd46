"""All extractors on one screen. A new one is one new row; a change of what one gives is a new version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from beholder.errors import UserError
from beholder.tical.raw import face, pretrained, sound, text
from beholder.tical.raw.files import check_text, open_pictures, open_sound, open_text
from beholder.tical.raw.learned import Array, Learned, apply_pca, learn_pca

Reads = Literal["sound", "picture", "text"]


def _as_they_are(learned: Learned, rows: Sequence[Any], source: str) -> Array:
    return np.stack(rows).astype(np.float64)


def _nothing(rows: Sequence[Any], source: str) -> Learned:
    return Learned()


@dataclass(frozen=True)
class Extractor:
    """From one file to one vector, in three steps: measure each file, learn from the training rows, apply."""

    name: str
    version: int
    reads: Reads
    summary: str
    measure: Callable[[Any, str], Any]
    """(a Sound, a picture or a text; the source) to an array, or the text itself. Pure."""
    learn: Callable[[Sequence[Any], str], Learned] = _nothing
    """(what was measured of training rows; the source)."""
    apply: Callable[[Learned, Any, str], Array] = _as_they_are
    """(learned, what was measured of rows, the source) to (n, d)."""
    needs_source: bool = False
    """Whether a folder or hub name stands behind the name: `image_encoder:FOLDER`."""

    def measure_file(self, file: Path, source: str) -> Any:
        """What is measured of a file; of a video the mean over its frames. Raises Unreadable."""
        if self.reads == "sound":
            return self.measure(open_sound(file), source)
        if self.reads == "text":
            return self.measure(open_text(file), source)
        return np.mean([self.measure(picture, source) for picture in open_pictures(file)], axis=0)

    def measure_text(self, words: str, source: str) -> Any:
        """What is measured of a text. Raises Unreadable."""
        return self.measure(check_text(words), source)


EXTRACTORS = {
    extractor.name: extractor
    for extractor in (
        Extractor(
            "logmel_stats",
            1,
            "sound",
            "loudness by pitch band, energy and pitch of the voice; no extra",
            lambda opened, _: sound.logmel_stats(opened),
        ),
        Extractor(
            "egemaps",
            1,
            "sound",
            "eGeMAPSv02 by openSMILE, which is not free for commercial use",
            lambda opened, _: sound.egemaps(opened),
        ),
        Extractor(
            "hog_pca",
            1,
            "picture",
            "gradients of a cropped face, in grey",
            lambda rgb, _: face.hog_of(rgb),
            lambda rows, _: learn_pca(np.stack(rows), face.WIDTH),
            lambda learned, rows, _: apply_pca(learned, np.stack(rows)),
        ),
        Extractor(
            "tfidf_svd",
            1,
            "text",
            "words and pairs of words",
            lambda words, _: words,
            lambda rows, _: text.learn_tfidf(rows),
            lambda learned, rows, _: text.apply_tfidf(learned, rows),
        ),
        Extractor(
            "image_encoder",
            1,
            "picture",
            "a model of transformers",
            pretrained.encode_picture,
            pretrained.learn_picture_encoder,
            lambda learned, rows, source: pretrained.same_picture_encoder(learned, np.stack(rows), source),
            needs_source=True,
        ),
        Extractor(
            "text_encoder",
            1,
            "text",
            "a model of transformers",
            pretrained.encode_text,
            pretrained.learn_text_encoder,
            lambda learned, rows, source: pretrained.same_text_encoder(learned, np.stack(rows), source),
            needs_source=True,
        ),
    )
}


def extractor_named(asked: str) -> tuple[Extractor, str]:
    """The extractor and source of `NAME` or `NAME:SOURCE`. Raises UserError for an unknown one."""
    name, _, source = asked.partition(":")
    if name not in EXTRACTORS:
        raise UserError(f"no extractor {name!r}; there are {', '.join(EXTRACTORS)}")
    extractor = EXTRACTORS[name]
    if extractor.needs_source != bool(source):
        means = f"{name}:FOLDER, or a name of the Hugging Face hub" if extractor.needs_source else name
        raise UserError(f"extractor {asked!r}: write {means}")
    return extractor, source
