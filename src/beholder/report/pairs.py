"""One self-contained page about enlarged pictures: before and after side by side, with the quality of both.

Our quality model looks at 512 x 512 pixels of area; in a large picture, shrunk, it can't see what enlarging did to it.
Therefore it judges the part that is shown: a square of that size, at full size, where the input has most detail.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from statistics import median
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beholder.batch.files import replacing
from beholder.batch.report import printable
from beholder.batch.rows import path_text
from beholder.errors import UserError
from beholder.imaging.open import open_image
from beholder.imaging.status import ImageError
from beholder.look import base_css, read
from beholder.report.gallery import Places
from beholder.report.page import check_page, digest
from beholder.scoring.model import Model, load
from beholder.scoring.table import DEFAULT

SIDE = 512
"""Pixels of the part that is shown."""

MOST_PAIRS = 60
"""Pictures on a page, spread evenly over the list."""

RGB = NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """A picture and what it became."""

    before: str
    after: str


@dataclass(frozen=True)
class _Shown:
    """One pair as it is on the page."""

    pair: Pair
    sizes: tuple[tuple[int, int], tuple[int, int]]
    parts: tuple[RGB, RGB]
    """The same part of both, the first enlarged by bicubic interpolation."""
    original: float | None
    """Quality of the picture before, the whole of it as it is; None where it is too small to judge."""
    qualities: tuple[float, float] | None
    """Of both parts."""


def write_pairs(
    pairs: Sequence[Pair],
    out: str | Path,
    *,
    failures: Sequence[tuple[str, str, str]] = (),
    made_by: str = "",
    model: str | Path = DEFAULT,
) -> int:
    """Write a page about `pairs`, and give its size in bytes.

    `failures` are (path, status, reason); `made_by` names the model that enlarged; `model` is the one that judges. A
    page that is there is replaced as a whole.

    Raises `UserError` where there are neither pairs nor failures, or for a name that is no page's.
    """
    out = Path(out)
    check_page(out)
    if not pairs and not failures:
        raise UserError(f"can't write {out}: there is no picture before and after to show")
    places = np.unique(np.linspace(0, max(0, len(pairs) - 1), min(len(pairs), MOST_PAIRS)).round().astype(int))
    judge = load(model) if pairs else None
    shown = [one for place in places if judge and (one := _look(pairs[place], judge)) is not None]
    style = base_css() + read(__package__, "pairs.css")
    page = Template(read(__package__, "pairs.html")).substitute(
        style=style,
        policy=f"default-src 'none'; style-src '{digest(style)}'; img-src data:",
        lede=_lede(len(pairs), len(shown), made_by),
        summary=_summary(shown, judge) if judge else "",
        pairs="".join(_figure(one, Places(Path(), out.parent)) for one in shown),
        failures=_failures(failures),
        n_failed=f"{len(failures):,}",
    )
    data = page.encode("utf-8")
    with replacing(out) as temporary:
        temporary.write_bytes(data)
    return len(data)


def most_detailed(rgb: RGB, width: int, height: int) -> tuple[int, int]:
    """Left and top of the window of `width` x `height` pixels with the largest sum of absolute differences.

    >>> picture = np.zeros((40, 60, 3), np.uint8); picture[25:30:2, 41:50:2] = 255
    >>> left, top = most_detailed(picture, 16, 16)
    >>> left <= 41 and left + 16 > 49 and top <= 25 and top + 16 > 29
    True
    """
    luma = rgb.astype(np.float32).mean(axis=2)
    detail = np.zeros_like(luma)
    detail[:, 1:] += np.abs(np.diff(luma, axis=1))
    detail[1:] += np.abs(np.diff(luma, axis=0))
    sums = np.pad(detail.astype(np.float64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    windows = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = np.unravel_index(np.argmax(windows), windows.shape)
    return int(left), int(top)


def _look(pair: Pair, judge: Model) -> _Shown | None:
    """None where one of the two can't be opened any more, or is under 32 pixels."""
    try:
        before, after = open_image(pair.before), open_image(pair.after)
    except ImageError:
        return None
    scale = after.width / before.width
    width, height = (min(side, max(1, round(SIDE / scale))) for side in (before.width, before.height))
    left, top = most_detailed(before.rgb, width, height)
    box = (left, top, left + width, top + height)
    corner, size = (round(scale * left), round(scale * top)), (round(scale * width), round(scale * height))
    enlarged = np.asarray(Image.fromarray(before.rgb).resize(size, Image.Resampling.BICUBIC, box))
    part = np.ascontiguousarray(after.rgb[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]])
    [original, *both] = judge.score([before.rgb, enlarged, part], task="quality")
    qualities = [score.quality for score in both]
    return _Shown(
        pair,
        ((before.width, before.height), (after.width, after.height)),
        (enlarged, part),
        original.quality,
        (qualities[0], qualities[1]) if qualities[0] is not None and qualities[1] is not None else None,
    )


def _lede(n_pairs: int, n_shown: int, made_by: str) -> str:
    if not n_pairs:
        return f"No picture was enlarged by {escape(printable(made_by))}."
    noun = "picture" if n_pairs == 1 else "pictures"
    left_out = f" {n_shown:,} of them are shown." if n_shown < n_pairs else ""
    return f"{n_pairs:,} {noun}, enlarged by {escape(printable(made_by))}.{left_out}"


def _summary(shown: Sequence[_Shown], judge: Model) -> str:
    judged = [one.qualities for one in shown if one.qualities is not None]
    if not judged:
        return "<p>None of these pictures could be judged.</p>"
    before, after = (median(pair[side] for pair in judged) for side in (0, 1))
    n_better = sum(pair[1] > pair[0] for pair in judged)
    return (
        f'<p>Median quality of the parts shown: <strong class="task quality">{before:.0f}</strong> enlarged by '
        f'interpolation, <strong class="task quality">{after:.0f}</strong> by the model; higher in {n_better:,} of '
        f"{len(judged):,}. Judged by {escape(judge.card.name)}, 0 to 100, each part at full size. It sees whether a "
        "picture looks sharp and clean, not whether its detail is true.</p>"
    )


def _figure(one: _Shown, places: Places) -> str:
    scores = [one.original, *(one.qualities or (None, None))]
    said = ["no score" if score is None else f"{score:.0f}" for score in scores]
    name = escape(printable(one.pair.before))
    (width, height), (new_width, new_height) = one.sizes
    links = [places.url(path_text(path)) for path in (one.pair.before, one.pair.after)]
    as_it_is, result = (
        f'<a href="{escape(link)}">{words}</a>' if link else words
        for link, words in zip(links, (f"{width} x {height}", f"{new_width} x {new_height}"), strict=True)
    )
    return (
        f'<section class="pair"><h2>{name}</h2>'
        f'<p class="soft">{as_it_is}, quality as it is {said[0]}; enlarged to {result}</p><div class="sides">'
        f"{_side(one.parts[0], 'interpolated', said[1])}{_side(one.parts[1], 'by the model', said[2])}</div></section>"
    )


def _side(part: RGB, words: str, score: str) -> str:
    file = BytesIO()
    Image.fromarray(part).save(file, "WEBP", quality=88)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return (
        f'<figure><img src="data:image/webp;base64,{data}" width="{part.shape[1]}" height="{part.shape[0]}" '
        f'alt="{words}"><figcaption>{words} <span class="task quality">{score}'
        '<span class="unseen"> quality</span></span></figcaption></figure>'
    )


def _failures(failures: Sequence[tuple[str, str, str]]) -> str:
    if not failures:
        return "<p>None.</p>"
    rows = "".join(
        f"<li><code>{escape(printable(path))}</code> "
        f'<span class="fault">{escape(status)}</span> {escape(printable(reason))}</li>'
        for path, status, reason in failures[:MOST_PAIRS]
    )
    more = f"<p>and {len(failures) - MOST_PAIRS:,} more</p>" if len(failures) > MOST_PAIRS else ""
    return f"<ul>{rows}</ul>{more}"
