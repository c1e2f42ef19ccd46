"""Captions in the official layout of UniQA: one JSON list of `{"image_path": ..., "prompt": one text or a list}`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from beholder.errors import UserError
from beholder.language.rows import Row, read_rows, write_rows, write_whole
from beholder.task import Task


def export_official(captions: Path, out: Path, root: Path | None = None) -> int:
    """Write the `ok` rows of our JSON lines as an official file; their number. Failed rows have no place in it.

    `image_path` is relative to `root`, or to the folder of `out`. Raises `UserError` where no row is `ok`.
    """
    entries: list[dict[str, Any]] = []
    for row in read_rows(captions):
        if row.get("status") == "ok":
            texts = row["captions"]
            path = rebase(str(row["path"]), captions.parent, root or out.parent)
            entries.append({"image_path": path, "prompt": texts[0] if len(texts) == 1 else texts})
    if not entries:
        raise UserError(f"{captions} has no row with status ok, so there is nothing to export")
    write_whole(out, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    return len(entries)


def import_official(file: Path, out: Path, task: Task, root: Path | None = None) -> int:
    """Write an official file as our JSON lines; the number of rows. The level is unknown, so it is null.

    `image_path` is read relative to `root`, or to the folder of `file`. Raises `UserError` for another layout.
    """
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file} is not JSON: {error}") from None
    if not isinstance(entries, list):
        raise UserError(f"{file} holds a JSON {type(entries).__name__}; the official layout is a list of objects")
    rows = [_row(entry, f"{file} entry {i}", root or file.parent, out.parent, task) for i, entry in enumerate(entries)]
    write_rows(rows, out)
    return len(rows)


def rebase(path: str, old: Path, new: Path) -> str:
    """A path relative to folder `old`, relative to folder `new`; an absolute one stays as it is."""
    return path if Path(path).is_absolute() else Path(os.path.relpath(old / path, new)).as_posix()


def _row(entry: object, place: str, root: Path, out: Path, task: Task) -> Row:
    path = entry.get("image_path") if isinstance(entry, dict) else None
    prompt = entry.get("prompt") if isinstance(entry, dict) else None
    texts = [prompt] if isinstance(prompt, str) else prompt
    fits = isinstance(texts, list) and texts and all(isinstance(text, str) and text.strip() for text in texts)
    if not isinstance(path, str) or not path or not fits:
        raise UserError(
            f"{place}: needed are image_path, a text, and prompt, a text or a list of texts; found {entry!r}"
        )
    return {
        "image_id": path,
        "path": rebase(path, root, out),
        "task": task,
        "level": None,
        "captioner": "official",
        "prompt_version": None,
        "captions": texts,
        "status": "ok",
        "error": None,
    }
