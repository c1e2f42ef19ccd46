"""From a table of scores to one HTML file that needs nothing else, and keeps to its size."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

import pyarrow as pa
import pyarrow.compute as pc

from beholder.batch.files import read_rows, replacing
from beholder.batch.report import printable
from beholder.errors import UserError
from beholder.look import base_css, levels_js, read
from beholder.report import sections
from beholder.report.gallery import OnThumbnail, Places, rows_that_fit, tasks_in, thumbnail_lines
from beholder.report.numbers import Maker, folders_of, makers_of, scores_of, spread_of
from beholder.report.thumbnails import LARGE, thumbnails
from beholder.scoring.card import Card
from beholder.scoring.table import resolve

SUFFIXES = (".html", ".htm")

DEFAULT_MAX_MB = 25.0

_ROWS_SHARE = 0.4
"""Of the size of the page, what rows may take at most; thumbnails get what is left."""


@dataclass(frozen=True)
class Report:
    """What `write_report` made."""

    path: Path
    n_bytes: int
    n_rows: int
    n_failed: int
    n_gallery: int
    """Pictures in the gallery: all scored ones, unless the page would grow too large."""
    n_thumbnails: int
    """Of those, how many are shown; the rest could not be opened, or there was no room."""


def write_report(
    scores: str | Path,
    out: str | Path,
    *,
    title: str | None = None,
    model: str | Path | Sequence[str | Path] = (),
    pictures: str | Path = ".",
    max_mb: float = DEFAULT_MAX_MB,
    on_thumbnail: OnThumbnail = lambda n_done, n_total: None,
) -> Report:
    """Write one self-contained HTML page about a file that `beholder score -o` wrote.

    Relative paths in `scores` start at `pictures`. `model` names the model or its folder if its card is not found by
    the name in the rows, or both models of a cascade. The page has `max_mb` megabytes (1,000,000 bytes) at most:
    thumbnails get smaller, then fewer, and the gallery of a very long table holds a part of it, spread evenly over the
    scores; figures and summaries always count all rows. An existing `out` is replaced as a whole.

    Raises `UserError` for a file that is no table of scores, an `out` that is not .html, a model that is not the one
    of the rows, or a `max_mb` that not even an empty gallery fits.
    """
    scores, out = Path(scores), Path(out)
    check_page(out)
    if not max_mb > 0:
        raise UserError(f"--max-mb {max_mb:g}: allowed are numbers above 0")
    rows = read_rows(scores)
    if not len(rows):
        raise UserError(f"{scores} has no rows, so there is nothing to report")
    places = Places(Path(pictures), out.parent)
    is_ok = pc.equal(rows["status"], "ok")
    scored, failed = rows.filter(is_ok), rows.filter(pc.invert(is_ok))
    max_bytes = int(1e6 * max_mb)

    models = [model] if isinstance(model, str | Path) else model
    fixed = _fixed_parts(rows, scored, failed, scores, title, models, places)
    empty = _page(fixed, "{}", [])
    shown, data = rows_that_fit(scored, places, int(_ROWS_SHARE * max_bytes)) if len(scored) else (scored, "{}")
    n_left = max_bytes - len(empty) - len(data) - len(shown) - 1000
    if n_left < 0:
        raise UserError(
            f"--max-mb {max_mb:g}: without a gallery the page has {len(empty) / 1e6:.2g} MB already. "
            f"Try --max-mb {max(DEFAULT_MAX_MB, 4 * len(empty) / 1e6):.0f}"
        )
    lines = thumbnail_lines(shown, places, n_left, on_thumbnail) if len(shown) else []
    n_thumbnails = sum(map(bool, lines))
    page = _page(fixed | {"gallery_note": _gallery_note(len(shown), len(scored), n_thumbnails)}, data, lines)
    with replacing(out) as temporary:
        temporary.write_bytes(page)
    return Report(out, len(page), len(rows), len(failed), len(shown), n_thumbnails)


def check_page(out: Path) -> None:
    """Raise `UserError` where a page can't be written under this name."""
    if out.suffix.lower() not in SUFFIXES:
        raise UserError(f"can't write {out}: a report is a page, so its name ends in {' or '.join(SUFFIXES)}")
    if not out.parent.is_dir():
        raise UserError(f"can't write {out}: the folder {out.parent} does not exist. Make it first")
    if out.is_dir():
        raise UserError(f"can't write {out}: it is a folder. Choose another name")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise UserError(f"can't write {out}: no permission to write in {out.parent}. Choose another folder")


def _fixed_parts(
    rows: pa.Table,
    scored: pa.Table,
    failed: pa.Table,
    scores: Path,
    title: str | None,
    models: Sequence[str | Path],
    places: Places,
) -> dict[str, str]:
    """Everything but the gallery, as HTML by placeholder."""
    tasks = tasks_in(scored)
    spreads = {task: spread for task in tasks if (spread := spread_of(scores_of(scored, task)))}
    lists = sections.extremes(scored)
    paths = list(dict.fromkeys(path for part in lists.values() for path in part["path"].to_pylist()))
    images = dict(zip(paths, thumbnails(map(places.file, paths), LARGE), strict=True))
    folders = folders_of(rows)
    root = _common_root([folder.path for folder in folders])
    name = title or os.path.basename(os.path.abspath(places.file(root))) or scores.stem
    makers = makers_of(rows)
    return {
        "title": escape(printable(name)),
        "lede": _lede(len(rows), len(failed), makers, scores),
        "histograms": sections.histograms(spreads),
        "extremes": sections.extremes_section(lists, images, places),
        "folder_heads": sections.folder_heads(tasks),
        "folder_rows": sections.folder_rows(folders, tasks, root),
        "failures": sections.failures_section(failed, scores.name),
        "n_failed": f"{len(failed):,}",
        "card": sections.models_section(list(zip(makers, _cards(makers, models), strict=True))),
        "gallery_note": "",
        "shape": " ".join(
            word
            for word, holds in (
                ("has-both-tasks", len(tasks) == 2),
                ("has-extremes", bool(lists)),
                ("has-folders", len(folders) > 1),
                ("has-scored", bool(len(scored))),
            )
            if holds
        ),
    }


def _page(parts: dict[str, str], data: str, lines: list[str]) -> bytes:
    """The whole page. Its policy lets nothing run or load but what is in it, and pictures beside it."""
    style = base_css() + read(__package__, "page.css")
    script = levels_js() + read(__package__, "page.js")
    policy = (
        f"default-src 'none'; style-src '{digest(style)}'; script-src '{digest(script)}'; img-src data: file: 'self'"
    )
    page = Template(read(__package__, "page.html")).substitute(
        parts, style=style, script=script, policy=policy, data=data, thumbnails="\n".join(lines)
    )
    return page.encode("utf-8")


def digest(text: str) -> str:
    """A style or script as a page's policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _cards(makers: Sequence[Maker], models: Sequence[str | Path]) -> list[Card | None]:
    """The card of each model; None where it is not at hand. `models` are found by their weights, others by name."""
    given: dict[str, Card] = {}
    for model in models:
        card = resolve(model).card()
        if card.weights_sha256 not in {maker.sha256 for maker in makers}:
            by = " and by ".join(f"{maker.name} with weights {maker.sha256[:12]}" for maker in makers)
            raise UserError(
                f"--model {model}: its weights are {card.weights_sha256[:12]}, the rows are by {by}. Give the model "
                "that scored them, or leave --model out"
            )
        given[card.weights_sha256] = card
    return [given.get(maker.sha256) or _card_of(maker) for maker in makers]


def _card_of(maker: Maker) -> Card | None:
    try:
        card = resolve(maker.name).card()
    except UserError:
        return None
    return card if card.weights_sha256 == maker.sha256 else None


def _common_root(folders: list[str]) -> str:
    """The deepest folder above all of them; empty where relative and absolute ones are mixed."""
    try:
        return os.path.commonpath(folders)
    except ValueError:
        return ""


def _lede(n_rows: int, n_failed: int, makers: Sequence[Maker], scores: Path) -> str:
    noun = "picture" if n_rows == 1 else "pictures"
    failed = f', <a class="fault" href="#failures">{n_failed:,} not scored</a>' if n_failed else ", all scored"
    models = " and ".join(dict.fromkeys(escape(maker.name) for maker in makers))
    return f"{n_rows:,} {noun}{failed}. By {models}, from {escape(scores.name)}."


def _gallery_note(n_gallery: int, n_scored: int, n_thumbnails: int) -> str:
    notes = []
    if n_gallery < n_scored:
        notes.append(
            f"The gallery holds {n_gallery:,} of {n_scored:,} scored pictures, spread evenly over the scores, so that "
            "this page stays small; all other figures count every picture."
        )
    if n_thumbnails < n_gallery:
        notes.append(f"{n_gallery - n_thumbnails:,} have no thumbnail: they were not found, or there was no room.")
    return " ".join(notes)
