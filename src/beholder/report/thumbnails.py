"""Small pictures for the page, of a size that lets all of them fit."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from statistics import mean

from PIL import Image

from beholder.batch.workers import usable_cpus
from beholder.imaging.fit import Fit
from beholder.imaging.open import open_image
from beholder.imaging.status import ImageError

FORMAT = "WEBP"


@dataclass(frozen=True)
class Size:
    """How large and how fine a thumbnail is."""

    side: int
    """Pixels of the longer side; a smaller picture keeps its own."""
    quality: int
    """Of the encoder, 0 to 100."""


LARGE = Size(360, 76)
"""For the few pictures that are shown large."""

SIZES = (Size(288, 70), Size(224, 66), Size(176, 60), Size(136, 54), Size(104, 48), Size(80, 42))
"""For the gallery, finest first."""

_SAMPLE = 48
"""Pictures by which the size is chosen."""

_AHEAD = 256
"""Pictures that may be decoded before the first of them is used."""


def thumbnail(path: str, size: Size) -> str | None:
    """A picture as base64 text of a small WebP file, or None where it can't be opened any more."""
    try:
        # Twice the side, so that the last step has something to smooth.
        picture = open_image(path, fit=Fit(area=4 * size.side**2))
    except ImageError:
        return None
    image = Image.fromarray(picture.rgb)
    image.thumbnail((size.side, size.side), Image.Resampling.LANCZOS)
    file = BytesIO()
    image.save(file, FORMAT, quality=size.quality)
    return base64.b64encode(file.getvalue()).decode("ascii")


def thumbnails(paths: Iterable[str], size: Size) -> Iterator[str | None]:
    """One thumbnail per path, in order, made by as many threads as there are cores; memory stays flat."""
    source = iter(paths)
    with ThreadPoolExecutor(usable_cpus()) as pool:
        while some := list(islice(source, _AHEAD)):
            yield from pool.map(lambda path: thumbnail(path, size), some)


def largest_that_fits(paths: Sequence[str], n_chars: int) -> Size | None:
    """The finest of `SIZES` in which all `paths` take about `n_chars` characters; None if not even the last does.

    Judged by a few pictures spread over the list, with a tenth to spare.
    """
    sample = paths[:: max(1, len(paths) // _SAMPLE)][:_SAMPLE]
    for size in SIZES:
        made = [len(text) for text in thumbnails(sample, size) if text is not None]
        if not made or 1.1 * mean(made) * len(paths) <= n_chars:
            return size
    return None
