from __future__ import annotations

from io import BytesIO, StringIO
from pathlib import Path

import pytest
from scored_rows import scored_rows

from beholder.batch.files import read_rows
from beholder.errors import UserError
from beholder.imaging.find import find_images
from beholder.selection.listing import print_paths, write_list

ROWS = scored_rows({"path": "b/2 ␛dce9.jpg", "quality": 7}, {"path": "a/1.jpg", "quality": 3})
ODD = scored_rows({"path": "a/1.jpg"}, {"path": "new\nline.jpg"})


def test_paths_are_the_names_of_the_files_in_order() -> None:
    file = BytesIO()
    print_paths(ROWS, file)
    assert file.getvalue() == b"b/2 \xe9.jpg\na/1.jpg\n"


def test_a_name_with_a_line_break_needs_zero_bytes() -> None:
    file = BytesIO()
    with pytest.raises(UserError, match=r"'new\\nline.jpg' has a line break in it. Try --null"):
        print_paths(ODD, file)
    assert file.getvalue() == b""
    print_paths(ODD, file, null=True)
    assert find_images(["-"], stdin=StringIO(file.getvalue().decode())) == ["a/1.jpg", "new\nline.jpg"]


@pytest.mark.parametrize("name", ["list.parquet", "list.csv", "list.jsonl"])
def test_a_table_holds_the_rows(tmp_path: Path, name: str) -> None:
    write_list(ROWS, tmp_path / name)
    assert read_rows(tmp_path / name).equals(ROWS)


def test_a_list_is_never_half_and_never_replaces_anything(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line break"):
        write_list(ODD, tmp_path / "list.txt")
    assert list(tmp_path.iterdir()) == []
    for name in ("list.txt", "list.csv"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(UserError, match="exists already"):
            write_list(ROWS, tmp_path / name)
        assert (tmp_path / name).read_text() == "mine"
    with pytest.raises(UserError, match=r"its ending is .xlsx, allowed are .txt, .parquet"):
        write_list(ROWS, tmp_path / "list.xlsx")
    for name in ("no/list.txt", "no/list.csv"):
        with pytest.raises(UserError, match="no does not exist"):
            write_list(ROWS, tmp_path / name)
