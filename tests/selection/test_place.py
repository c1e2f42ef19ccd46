from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from scored_rows import scored_rows

from beholder.batch.files import read_rows
from beholder.errors import UserError
from beholder.imaging.find import find_images
from beholder.selection.place import How, common_root, place

NAMES = ["photos/a/1.jpg", "photos/a/deep/2.jpg", "photos/b/1.jpg", "photos/odd \udce9\n name.jpg"]
ASKED = {"where": "quality > 3"}


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pa.Table:
    """Four files, here, and their rows."""
    monkeypatch.chdir(tmp_path)
    from beholder.batch.rows import path_text

    for i, name in enumerate(NAMES):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(bytes([i]) * 1000)
        os.utime(name, (1e9 + i, 1e9 + i))
    return scored_rows(*({"path": path_text(name), "quality": i} for i, name in enumerate(NAMES)))


def make(rows: pa.Table, out: str = "out", how: How = "copy", asked: dict[str, str] = ASKED) -> int:
    root = common_root([*rows["path"].to_pylist(), "photos/failed.jpg"], Path())
    return place(rows, Path(out), how, pictures=Path(), root=root, asked=asked)


def files_below(folder: str) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in Path(folder).rglob("*") if file.is_file()}


def test_copies_lie_as_the_originals_do_and_the_table_leads_to_them(rows: pa.Table) -> None:
    before = files_below("photos")
    assert make(rows) == 0
    made = files_below("out")
    assert set(made) - set(before) == {"selection.json", "selection.parquet"}
    assert {name: made[name] for name in before} == before == files_below("photos")
    assert Path("out/a/1.jpg").stat().st_mtime == 1e9
    assert find_images(["out/selection.parquet"])[:3] == ["out/a/1.jpg", "out/a/deep/2.jpg", "out/b/1.jpg"]
    assert read_rows(Path("out/selection.parquet"))["quality"].to_pylist() == [0, 1, 2, 3]
    said = json.loads(Path("out/selection.json").read_text(encoding="utf-8"))
    assert (said["how"], said["where"], said["root"]) == ("copy", "quality > 3", str(Path("photos").absolute()))
    assert not Path("out.parts").exists()


def test_links_lead_to_the_originals_from_anywhere(rows: pa.Table) -> None:
    make(rows, "elsewhere", "link")
    Path("there").mkdir()
    Path("elsewhere").rename("there/moved")
    for name in NAMES:
        link = Path("there/moved") / os.path.relpath(name, "photos")
        assert link.is_symlink()
        assert link.samefile(name)


def test_links_do_not_lead_through_the_folder_where_the_command_ran(
    rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("here").mkdir()
    monkeypatch.chdir("here")
    up = Path("..")
    place(rows, Path("../out"), "link", pictures=up, root=common_root(rows["path"].to_pylist(), up), asked=ASKED)
    monkeypatch.chdir(tmp_path)
    Path("here").rmdir()
    assert Path("out/a/1.jpg").samefile("photos/a/1.jpg")
    Path("through").symlink_to("photos/a", target_is_directory=True)
    root = common_root(["1.jpg"], Path("through"))
    place(scored_rows({"path": "1.jpg"}), Path("more"), "link", pictures=Path("through"), root=root, asked=ASKED)
    assert Path("more/1.jpg").samefile("photos/a/1.jpg")


def test_the_place_of_a_picture_does_not_depend_on_what_else_is_chosen(rows: pa.Table) -> None:
    place(rows.slice(1, 1), Path("out"), "copy", pictures=Path(), root=common_root(NAMES[:3], Path()), asked=ASKED)
    assert Path("out/a/deep/2.jpg").is_file()


def test_nothing_that_exists_is_touched(rows: pa.Table) -> None:
    Path("out").mkdir()
    for name in ("out", "photos", "photos/a/1.jpg"):
        before = files_below(".")
        with pytest.raises(UserError, match=r"exists already.*Choose another name"):
            make(rows, name)
        assert files_below(".") == before
    with pytest.raises(UserError, match="the folder missing does not exist"):
        make(rows, "missing/out")


def test_a_missing_picture_stops_before_anything_is_made(rows: pa.Table) -> None:
    Path(NAMES[1]).unlink()
    Path(NAMES[2]).unlink()
    Path(NAMES[2]).mkdir()
    with pytest.raises(UserError, match=r"2 of 4 pictures are not there, the first is .*2.jpg.*--pictures"):
        make(rows)
    with pytest.raises(UserError, match="1 of 1 pictures are not there"):
        make(scored_rows({"path": "photos/a\0.jpg"}))
    assert not list(Path().glob("out*"))


@pytest.mark.parametrize("path", ["s3://bucket/1.jpg", "photos/shard.tar::1.jpg"])
def test_what_is_no_file_of_a_disk_is_neither_copied_nor_linked(rows: pa.Table, path: str) -> None:
    more = pa.concat_tables([rows, scored_rows({"path": path})])
    with pytest.raises(UserError, match=rf"1 of 5 pictures lie at an address or in a tar file.*{path}.*use --list"):
        make(more, how="link")
    assert not list(Path().glob("out*"))


def test_two_pictures_for_one_name_are_refused(rows: pa.Table) -> None:
    twice = scored_rows({"path": "photos/a/1.jpg"}, {"path": "photos/b/../a/1.jpg"})
    with pytest.raises(UserError, match=r"two files would be called '1.jpg'|called 'a/1.jpg'"):
        make(twice)
    Path("photos/selection.json").write_bytes(b"a picture of that name")
    with pytest.raises(UserError, match=r"called 'selection.json'"):
        make(scored_rows({"path": "photos/selection.json"}))


@pytest.mark.parametrize("how", ["copy", "link"])
def test_a_stopped_run_goes_on_and_ends_like_an_undisturbed_one(
    rows: pa.Table, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(rows, "undisturbed", how)
    rename, n_left = Path.replace, 4  # of the plan and three pictures

    def full(self: Path, target: Path) -> Path:
        nonlocal n_left
        n_left -= 1
        if n_left < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        return rename(self, target)

    with monkeypatch.context() as disk:
        disk.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            make(rows, how=how)
    assert not Path("out").exists()
    Path("out.parts/tree/a/1.jpg").unlink()
    if how == "copy":
        Path("out.parts/unfinished").write_bytes(b"half a pic")
        Path("out.parts/tree/b/1.jpg").write_bytes(b"older")
    assert make(rows, how=how) == (1 if how == "copy" else 2)
    assert {k: v for k, v in files_below("out").items() if k != "selection.json"} == {
        k: v for k, v in files_below("undisturbed").items() if k != "selection.json"
    }
    assert not Path("out.parts").exists()


def test_another_selection_does_not_go_on_with_a_stopped_one(rows: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as disk:
        disk.setattr(shutil, "copy2", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
        with pytest.raises(OSError, match="broken"):
            make(rows)
    with pytest.raises(
        UserError, match=r"out.parts holds an unfinished selection with where = quality > 3, this one has"
    ):
        make(rows, asked={"where": "quality > 2"})
    with pytest.raises(UserError, match="n_pictures = 4, this one has 3"):
        make(rows.slice(0, 3))
    with pytest.raises(UserError, match="how = copy, this one has link"):
        make(rows, how="link")
    assert make(rows) == 0
