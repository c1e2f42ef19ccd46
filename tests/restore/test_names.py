from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from beholder.errors import UserError
from beholder.restore.names import plan_outputs


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """photos/1.jpg, photos/sea/2.png, photos/sea/2.jpg, photos/sea/2.nef and more/3.webp; nobody looks inside."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos/1.jpg", "photos/sea/2.png", "photos/sea/2.jpg", "photos/sea/2.nef", "more/3.webp"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")
    return tmp_path


def planned(*inputs: str, out: str = "out", template: str | None = None, scale: float = 4) -> dict[str, str]:
    jobs = plan_outputs(list(inputs), Path(out), template=template, scale=scale, recursive=True)
    return {job.path: str(job.out) for job in jobs}


def test_the_tree_below_a_folder_is_kept_and_no_two_get_one_name(tree: Path) -> None:
    assert planned("photos") == {
        "photos/1.jpg": "out/1_x4.png",
        "photos/sea/2.jpg": "out/sea/2.jpg_x4.png",
        "photos/sea/2.nef": "out/sea/2.nef_x4.png",
        "photos/sea/2.png": "out/sea/2.png_x4.png",
    }


def test_a_longer_name_does_not_meet_the_short_one_of_another(tree: Path) -> None:
    for name in ("a.jpg", "a.png", "a.jpg.png", "a.jpg.png.webp", "b.nef", "b.nef.png"):
        Path("more", name).write_bytes(b"x")
    assert planned("more") == {
        "more/3.webp": "out/3_x4.png",
        "more/a.jpg": "out/a.jpg_x4.png",
        "more/a.jpg.png": "out/a.jpg.png_x4.png",
        "more/a.jpg.png.webp": "out/a.jpg.png.webp_x4.png",
        "more/a.png": "out/a.png_x4.png",
        "more/b.nef": "out/b.nef_x4.png",
        "more/b.nef.png": "out/b.nef.png_x4.png",
    }


def test_names_that_stay_the_same_are_an_error(tree: Path) -> None:
    with tarfile.open("more.tar", "w") as archive:
        archive.add("more/3.webp", "3.webp")
    with pytest.raises(UserError, match=r"'more\.tar::3\.webp' would both become out/more/3\.webp_x4\.png"):
        planned("more", "more.tar")


def test_a_picture_that_is_spelt_in_two_ways_is_one(tree: Path) -> None:
    assert planned("photos/1.jpg", "more/../photos/1.jpg") == {"photos/1.jpg": "out/1_x4.png"}


def test_a_raw_file_takes_no_name_from_the_picture_beside_it(tree: Path) -> None:
    Path("photos/sea/2.png").unlink()
    names = planned("photos/sea")
    assert names == {"photos/sea/2.jpg": "out/2_x4.png", "photos/sea/2.nef": "out/2.nef_x4.png"}


def test_several_inputs_keep_what_they_do_not_share(tree: Path) -> None:
    names = planned("photos/1.jpg", "more", scale=2.5)
    assert names == {"photos/1.jpg": "out/photos/1_x2.5.png", "more/3.webp": "out/more/3_x2.5.png"}


def test_a_glob_keeps_the_tree_below_its_fixed_part(tree: Path) -> None:
    assert planned("photos/**/*.jpg") == {"photos/1.jpg": "out/1_x4.png", "photos/sea/2.jpg": "out/sea/2_x4.png"}


def test_members_of_an_archive_lie_below_its_name(tree: Path) -> None:
    with tarfile.open("shard.tar", "w") as archive:
        archive.add("photos/1.jpg", "cats/1.jpg")
        archive.add("photos/1.jpg", "1.jpg")
    assert planned("shard.tar") == {
        "shard.tar::1.jpg": "out/shard/1_x4.png",
        "shard.tar::cats/1.jpg": "out/shard/cats/1_x4.png",
    }


def test_no_name_in_an_archive_leads_out_of_the_folder(tree: Path) -> None:
    with tarfile.open("shard.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../../../1.jpg"))
    with pytest.raises(UserError, match="would lie outside of out"):
        planned("shard.tar")


def test_results_are_never_enlarged_again(tree: Path) -> None:
    Path("photos/large").mkdir()
    Path("photos/large/1_x4.png").write_bytes(b"x")
    assert "photos/large/1_x4.png" not in planned("photos", out="photos/large")
    with pytest.raises(UserError, match="all 1 pictures lie in more itself"):
        planned("more", out="more")


def test_one_picture_may_be_given_the_name_of_its_result(tree: Path) -> None:
    assert planned("photos/1.jpg", out="large.webp") == {"photos/1.jpg": "large.webp"}
    with pytest.raises(UserError, match=r"-o large.png is a file, and there are 4 pictures"):
        planned("photos", out="large.png")
    with pytest.raises(UserError, match="is the picture itself"):
        planned("photos/1.jpg", out="photos/1.jpg")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{steam}.png", r"there is no {steam}; allowed are {stem}, {name}, {scale}"),
        ("big.png", "all pictures would get the same name"),
        ("{stem}.tif", "allowed endings are .png, .jpg, .jpeg, .webp"),
        ("{stem.png", "expected '}'"),
        ("up/{stem}.png", "folders are kept"),
        ("{stem.__class__}.png", "there is no"),
        ("{stem!r:>9}_{0}.png", "there is no {0}"),
        ("{stem:d}.png", "nothing may follow a name inside of braces. Try: {stem}"),
        ("{name!z}.png", "nothing may follow a name inside of braces. Try: {name}"),
    ],
)
def test_a_template_is_checked_before_anything_is_done(tree: Path, template: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        planned("photos", template=template)
