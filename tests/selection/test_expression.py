from __future__ import annotations

import pyarrow as pa
import pytest
from scored_rows import scored_rows

from beholder.errors import UserError
from beholder.selection.choose import Wanted, choose
from beholder.selection.expression import COLUMNS, MAX_LENGTH, parse

ROWS = scored_rows(
    {"path": "a/1.jpg", "quality": 80, "aesthetics": 20, "width": 60_000, "height": 50_000},
    {"path": "a/holiday/2.jpg", "quality": 60, "aesthetics": 61, "width": 3, "height": 2, "note": "animated: first"},
    {"path": "b/3.jpg", "quality": 40, "width": 100, "height": 100, "note": "upscaled"},
    {"path": "4.jpg", "quality": 20, "aesthetics": 90, "width": 100, "height": 200},
)
LAST = scored_rows({"path": "last", "quality": 0})  # matches always, since an empty selection is an error


def found(where: str) -> str:
    """The digits of the names of the rows that match, in order."""
    rows = choose(pa.concat_tables([ROWS, LAST]), Wanted(where=f"({where}) or path == 'last'", by="1")).rows
    return "".join(sorted(path.removesuffix(".jpg")[-1] for path in rows["path"].to_pylist() if path != "last"))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("quality > 60", "1"),
        ("quality >= 60", "12"),
        ("40 <= quality < 80", "23"),
        ("quality == 60 or quality == 20", "24"),
        ("quality > 30 and not quality > 60", "23"),
        ("not (quality > 30 and quality < 70)", "14"),
        ("quality != 60", "134"),
        ("aesthetics > 0", "124"),
        ("not aesthetics > 50", "1"),
        ("aesthetics > 80 or quality < 50", "34"),
        ("aesthetics is None", "3"),
        ("aesthetics is not None and quality < 70", "24"),
        ("abs(quality - aesthetics) < 5", "2"),
        ("-quality + 2 * 30 > 0", "34"),
        ("width * height == 3e9", "1"),
        ("width / height == 1.5", "2"),
        ("width / (quality - 60) > 0", "1"),
        ("not width / (quality - 60) > 0", "34"),
        ("height / width * 2 == +4", "4"),
        ("'holiday' in path", "2"),
        ("'holiday' not in path", "134"),
        ("'Holiday' in path", ""),
        ("'.*' in path", ""),
        ("folder == 'a'", "1"),
        ("folder == '.'", "4"),
        ("folder in ('a', 'b')", "13"),
        ("folder not in ['a', 'b']", "24"),
        ("quality in (20, 80)", "14"),
        ("note == 'upscaled'", "3"),
        ("note != 'upscaled'", "2"),
        ("note not in ('upscaled',)", "2"),
        ("'animated' not in note", "3"),
        ("'a' < folder", "23"),
        (r"'\d' in path", ""),
    ],
)
def test_an_expression_finds_the_rows_it_is_true_of(where: str, expected: str) -> None:
    assert found(where) == expected


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch x')",
        "().__class__.__bases__",
        "path.upper() == 'A'",
        "quality.__class__",
        "(lambda: 1)() > 0",
        "[q for q in (1, 2)]",
        "quality if True else 0",
        "f'{quality}' == path",
        "(quality := 3) > 2",
        "quality ** 9999 > 1",
        "quality // 2 > 1",
        "~(quality > 3)",
        "quality[0] > 1",
        "abs(*path) > 1",
        "abs(quality, key=1) > 1",
        "max(quality, 3) > 1",
        "True",
        "None is None",
        "b'x' in path",
        "1j > quality",
        "... is None",
        "{'a': 1}",
    ],
)
def test_what_is_not_in_the_language_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"Allowed are numbers, 'text'|Columns are quality"):
        parse(text, kind="truth", option="--where")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("qualty > 60", "no column 'qualty'; did you mean quality. Columns are quality, aesthetics"),
        ("status == 'ok'", "no column 'status'"),
        ("quality = 60", "To compare, use =="),
        ("quality >", "it can't be read"),
        ("", "it can't be read"),
        ("quality > '60'", "'quality' is a number and \"'60'\" a text"),
        ("path > 5", "'path' is a text and '5' a number"),
        ("quality", "'quality' is a number where a comparison such as quality > 60 is expected"),
        ("quality > 60 and path", "'path' is a text where a comparison"),
        ("path + 1 > 2", "'path' is a text where a number is expected"),
        ("'6' in quality", "'quality' is a number where text is expected"),
        ("path in folder", "`in` goes with a list or a text"),
        ("'' in path", "`in` goes with a list or a text"),
        ("quality in ()", "`in` goes with a list or a text"),
        ("quality is 60", "`is` goes with None only"),
        ("quality > 1" + "0" * 400, "above 1.8e308"),
        ("quality > 60\0", "zero byte"),
        ("path == '\udce9'", "not UTF-8"),
        ("not " * 490 + "quality", "nested too deeply|where a comparison"),
        ("(" * 900 + "quality" + ")" * 900, "nested|can't be read"),
        ("-" * (MAX_LENGTH - 10) + "1 > 0", "nested too deeply|can't be read"),
        ("quality > 1" + " " * MAX_LENGTH, "characters; allowed are 2,000"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(UserError, match=f"(?s)^--where.*({message})"):
        parse(text, kind="truth", option="--where")


def test_a_number_is_asked_for_where_rows_are_ranked() -> None:
    with pytest.raises(UserError, match=r"^--by 'quality > 3': 'quality > 3' is a truth where a number is expected"):
        parse("quality > 3", kind="number", option="--by")


def test_every_column_of_the_language_is_one_of_the_table() -> None:
    assert set(COLUMNS) - {"folder"} <= set(ROWS.column_names)
