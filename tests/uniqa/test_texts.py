import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beholder.errors import UserError
from beholder.uniqa.texts import read_unified


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "abc":
        Image.new("RGB", (40, 40)).save(tmp_path / f"{name}.png")
    return tmp_path


def row(name: str, *texts: str, **other: object) -> dict[str, object]:
    return {"image_id": name, "path": f"{name}.png", "task": "quality", "level": "good", "captions": list(texts),
            "status": "ok", **other}  # fmt: skip


def write(folder: Path, name: str, *rows: object) -> Path:
    file = folder / name
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in rows))
    return file


def test_all_texts_of_a_picture_come_together_whatever_file_or_task(folder: Path) -> None:
    first = write(folder, "captions.jsonl", row("a", "sharp"), row("b", "soft"))
    second = write(folder, "comments.jsonl", row("a", "lovely", "sharp ", task="aesthetics", level=None))
    unified = read_unified([first, second])
    assert [(Path(p.path).name, p.texts, p.tasks) for p in unified.pictures] == [
        ("a.png", ("sharp", "lovely"), {"quality", "aesthetics"}),
        ("b.png", ("soft",), {"quality"}),
    ]
    assert len(unified.only("quality")) == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row("gone", "x"), "missing picture"),
        (row("a", "", "  "), "empty text"),
        (row("a"), "empty text"),
        (row("a", "x", level="great"), "unknown level 'great'"),
        (row("a", "x", task="mood"), "unknown task 'mood'"),
        (row("a", status="failed"), "status failed"),
        (row("a", "x", path=None), "no path"),
        ('{"cut', "not JSON"),
        ("[1]", "not an object"),
    ],
)
def test_a_bad_row_is_left_out_and_counted_with_its_reason_and_place(folder: Path, bad: object, reason: str) -> None:
    file = write(folder, "captions.jsonl", row("b", "fine"), bad, bad)
    unified = read_unified([file])
    assert [Path(p.path).name for p in unified.pictures] == ["b.png"]
    assert dict(unified.refused.counts) == {reason: 2}
    assert f"2 x {reason} (e.g. {file} line 2)" in str(unified.refused)


def test_no_usable_row_ends_in_a_message_with_the_reasons(folder: Path) -> None:
    file = write(folder, "captions.jsonl", row("a", ""))
    with pytest.raises(UserError, match="no row can be used; 1 rows left out: 1 x empty text"):
        read_unified([file])
    with pytest.raises(UserError, match="is not a file"):
        read_unified([folder / "none.jsonl"])


def test_every_text_is_drawn_sometimes(folder: Path) -> None:
    unified = read_unified([write(folder, "captions.jsonl", row("a", "one", "two", "three"))])
    rng = np.random.default_rng(0)
    drawn = [unified.pictures[0].draw(rng) for _ in range(300)]
    assert {text: 70 < drawn.count(text) < 130 for text in ("one", "two", "three")} == dict.fromkeys(set(drawn), True)
