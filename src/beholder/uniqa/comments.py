"""Comments of people on pictures, read from a table or from JSON lines, and purified against a file of captions."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from beholder.data.columns import utf8_only
from beholder.errors import UserError
from beholder.language.rows import Row, read_rows
from beholder.uniqa.caption import HELD_OUT
from beholder.uniqa.official_captions import rebase
from beholder.uniqa.purify import KEEP, judge, row_of
from beholder.uniqa.similarity import Similarities, TextEncoder, closest


@dataclass
class Comments:
    """All comments on one picture."""

    texts: list[str] = field(default_factory=list)
    path: str | None = None
    """Relative to the folder of the file they were read from; None where it doesn't say."""


def read_comments(file: Path) -> dict[str, Comments]:
    """Comments by `image_id`, in the order of the file.

    `.csv`: columns `image_id` and `comment`, a row per comment. `.jsonl`: objects with `image_id` and `comments`, a
    list. Both may have `path`. Raises `UserError` for another layout.
    """
    found: dict[str, Comments] = {}
    for place, name, texts, path in _csv_rows(file) if file.suffix == ".csv" else _json_rows(file):
        if not name:
            raise UserError(f"{place}: image_id is empty; every comment needs the id of its picture")
        entry = found.setdefault(name, Comments())
        entry.texts += texts
        entry.path = entry.path or path
    if not found:
        raise UserError(f"{file} holds no comments")
    return found


_Read = tuple[str, str, list[str], str | None]
"""Place, image_id, comments, path."""


def _csv_rows(file: Path) -> list[_Read]:
    with utf8_only(file), file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        if missing := {"image_id", "comment"} - set(reader.fieldnames or ()):
            raise UserError(f"{file} lacks the columns {', '.join(sorted(missing))}; it has {reader.fieldnames}")
        return [
            (f"{file} line {reader.line_num}", row["image_id"] or "", [row["comment"] or ""], row.get("path") or None)
            for row in reader
        ]


def _json_rows(file: Path) -> list[_Read]:
    if file.suffix != ".jsonl":
        raise UserError(f"{file.name} ends in {file.suffix!r}; comments are read from .csv or .jsonl files")
    rows: list[_Read] = []
    for number, row in enumerate(read_rows(file), start=1):
        texts = row.get("comments")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise UserError(f"{file} line {number}: comments = {texts!r}; needed is a list of texts")
        rows.append((f"{file} line {number}", str(row.get("image_id") or ""), texts, row.get("path")))
    return rows


def purify(
    comments: Path,
    captions: Path,
    out: Path,
    make_encoder: Callable[[Sequence[str]], TextEncoder],
    *,
    k: int = KEEP,
    ir_only: bool = False,
) -> list[Row]:
    """A row per picture that has comments, for `out`; nothing is written.

    References are the texts about aesthetics in `captions`. `make_encoder` gets all texts, comments and references.
    Comments on a picture that was held out of the captions are never used, not even with `ir_only`.
    """
    given = read_comments(comments)
    by_id: Mapping[str, Row] = {row["image_id"]: row for row in read_rows(captions) if row.get("task") == "aesthetics"}
    if not by_id and not ir_only:
        raise UserError(f"{captions} has no row about aesthetics, so there is nothing to compare comments with")
    references = {name: row["captions"] for name, row in by_id.items() if row["status"] == "ok"}
    encoder = make_encoder(
        [text for entry in given.values() for text in entry.texts] + [t for texts in references.values() for t in texts]
    )

    def closeness(texts: Sequence[str], to: Sequence[str]) -> Similarities:
        return closest(encoder, texts, to)

    rows = []
    for name, entry in given.items():
        caption = by_id.get(name, {})
        base, path = (captions, caption["path"]) if caption.get("path") else (comments, entry.path)
        is_held_out = caption.get("status") == HELD_OUT
        judged = judge(entry.texts, references.get(name, ()), closeness, k=k, ir_only=ir_only and not is_held_out)
        place = rebase(path, base.parent, out.parent) if path else None
        row = row_of(name, place, caption.get("level"), judged)
        rows.append(row | {"status": HELD_OUT, "error": caption["error"]} if is_held_out else row)
    return rows
