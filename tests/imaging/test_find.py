import io
import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from beholder.imaging.find import NothingFoundError, TableError, find_images


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Path:
    """Files as in a photo folder; only the search looks at them, so they may be empty."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.PNG", "notes.txt", "sub/c.webp", "sub/deep/d.tif", "z.heic", "sub/e.nef", "no_extension"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in (".hidden.jpg", "._a.jpg", ".cache/x.jpg", "__MACOSX/x.jpg", "@eaDir/x.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def test_a_folder_gives_its_pictures_sorted_files_before_folders(tree):
    assert find_images(["."]) == ["a.PNG", "b.jpg", "z.heic", "sub/c.webp", "sub/e.nef", "sub/deep/d.tif"]


def test_not_recursive_stays_in_the_folder(tree):
    assert find_images(["."], recursive=False) == ["a.PNG", "b.jpg", "z.heic"]


def test_order_is_as_given_and_each_picture_comes_once(tree):
    assert find_images(["sub/deep", "b.jpg", "sub", "./b.jpg"]) == [
        "sub/deep/d.tif",
        "b.jpg",
        "sub/c.webp",
        "sub/e.nef",
    ]


def test_a_named_file_is_kept_whatever_it_is(tree):
    (tree / "link.jpg").symlink_to("nowhere")
    named = ["no_extension", "notes.txt", "missing.jpg", "link.jpg", ".hidden.jpg"]
    assert find_images(named) == named


def test_globs_are_expanded_sorted(tree):
    assert find_images(["*.[jP]*"]) == ["a.PNG", "b.jpg"]
    assert find_images(["**/*.tif"]) == ["sub/deep/d.tif"]
    assert find_images(["su?"]) == ["sub/c.webp", "sub/e.nef", "sub/deep/d.tif"]


def test_a_file_with_brackets_in_its_name_is_a_file(tree):
    (tree / "[1].jpg").touch()
    assert find_images(["[1].jpg"]) == ["[1].jpg"]


@pytest.mark.parametrize("text", ["b.jpg\nnot here.jpg\n\n", "b.jpg\r\nnot here.jpg", "b.jpg\0not here.jpg\0"])
def test_dash_reads_a_list(tree, text):
    assert find_images(["-"], stdin=io.StringIO(text, newline="")) == ["b.jpg", "not here.jpg"]


def test_a_zero_separated_list_keeps_newlines_in_names(tree):
    assert find_images(["-"], stdin=io.StringIO("two\nlines.jpg\0")) == ["two\nlines.jpg"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
@pytest.mark.parametrize("column", ["path", "file", "Filename", "image", "uri"])
def test_a_tables_entries_are_relative_to_the_table(tree, kind, column):
    table = tree / "sub" / f"list.{kind}"
    if kind == "parquet":
        parquet.write_table(pa.table({"mos": [1, 2], column: ["c.webp", "/abs/x.jpg"]}), table)
    else:
        cells = [["mos", column], ["1", "c.webp"], ["2", "/abs/x.jpg"]]
        table.write_text("".join(("\t" if kind == "tsv" else ",").join(row) + "\n" for row in cells))
    assert find_images([f"sub/list.{kind}"]) == ["sub/c.webp", "/abs/x.jpg"]


def test_path_wins_over_other_columns_and_numbers_stay_text(tree):
    (tree / "t.csv").write_text("image,path\nx.jpg,007\n")
    assert find_images(["t.csv"]) == ["007"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,mos\na.jpg,1\n", "has the columns name, mos; the one with the paths must be called path, file"),
        ("path,mos\na.jpg,1\n,2\n", "row 2: column 'path' holds ''"),
        ("path,mos\na.jpg\n", "can't be read"),
        ("", "can't be read"),
    ],
)
def test_an_unusable_table_says_why(tree, content, message):
    (tree / "t.csv").write_text(content)
    with pytest.raises(TableError, match=message):
        find_images(["t.csv"])


def test_a_missing_table_is_an_error(tree):
    with pytest.raises(TableError, match=r"missing\.csv"):
        find_images(["missing.csv"])


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("fotos", "no file or folder is called 'fotos'"),
        ("empty", "holds no pictures"),
        ("*.gif", "matches nothing"),
        ("empty.csv", "has no rows"),
        ("-", "standard input"),
    ],
)
def test_an_input_without_pictures_is_an_error_that_says_what_to_try(tree, entry, hint):
    (tree / "empty").mkdir()
    (tree / "empty.csv").write_text("path\n")
    with pytest.raises(NothingFoundError, match=hint):
        find_images(["b.jpg", entry], stdin=io.StringIO(""))


def test_pictures_only_below_the_folder_are_hinted_at(tree):
    (tree / "top" / "below").mkdir(parents=True)
    (tree / "top" / "below" / "x.jpg").touch()
    with pytest.raises(NothingFoundError, match="--recursive"):
        find_images(["top"], recursive=False)


def test_link_loops_end_and_a_linked_folder_is_read_once(tree):
    (tree / "sub" / "up").symlink_to(tree)
    (tree / "sub" / "self").symlink_to("self")
    (tree / "again").symlink_to("sub")
    found = find_images(["."])
    assert sorted(Path(path).name for path in found) == ["a.PNG", "b.jpg", "c.webp", "d.tif", "e.nef", "z.heic"]


def test_odd_names_survive(tree):
    names = ["new\nline.jpg", " space .jpg", "-o.jpg", "日本.jpg", os.fsdecode(b"latin-1 \xe9.jpg")]
    folder = tree / "odd"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    found = find_images(["odd"])
    assert sorted(found) == sorted(f"odd/{name}" for name in names)
    assert all(Path(path).exists() for path in found)


def test_a_folder_named_like_a_picture_is_searched(tree):
    (tree / "album.jpg").mkdir()
    (tree / "album.jpg" / "x.png").touch()
    assert "album.jpg/x.png" in find_images(["."])
    assert "album.jpg" not in find_images(["."])


def test_every_nasty_file_is_found(nasty_folder):
    folder, expected = nasty_folder
    assert sorted(find_images([str(folder)])) == sorted(f"{folder}/{name}" for name in expected)


def test_a_folder_that_cannot_be_listed_gets_a_row(tree, monkeypatch):
    """A folder that is removed during the search, or closed to us, must not vanish from the result."""
    real = os.scandir

    def closed(path: str) -> object:
        if path.endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert find_images(["."]) == ["a.PNG", "b.jpg", "z.heic", "sub"]


def test_a_missing_file_with_brackets_in_its_name_is_kept_like_any_other(tree):
    assert find_images(["photo [1].jpg", "b.jpg"]) == ["photo [1].jpg", "b.jpg"]
    assert find_images(["[ab].jpg"]) == ["b.jpg"]  # a pattern wherever it leads somewhere
