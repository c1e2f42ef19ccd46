from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest
from conftest import RenderPicture
from PIL import ImageFilter
from scored_rows import scored_rows
from tar_files import jpeg, write_tar

from beholder.errors import UserError
from beholder.selection.choose import Selection, Wanted, choose

SCORES = {"a/1.jpg": 50, "a/2.jpg": 90, "a/3.jpg": 80, "a/4.jpg": 70, "b/5.jpg": 10, "c/6.jpg": 30, "c/7.jpg": 20}
TABLE = scored_rows(*({"path": path, "quality": score, "aesthetics": -score} for path, score in SCORES.items()))


def names(chosen: Selection) -> str:
    return "".join(Path(path).stem for path in chosen.rows["path"].to_pylist())


def test_the_best_come_first_and_equal_ones_by_path_whatever_the_order_of_the_table() -> None:
    rows = scored_rows(
        *({"path": f"{name}.jpg", "quality": score} for name, score in zip("cabd", (5, 5, 5, 9), strict=True))
    )
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        assert names(choose(rows.take(order), Wanted())) == "dabc"


def test_values_stay_with_their_rows_in_a_table_of_many_chunks() -> None:
    row = scored_rows({"path": "", "quality": 0})
    n = 100_000
    columns = {"path": [f"{i:06d}.jpg" for i in range(n)], "quality": [(i * 7919) % n / 1000 for i in range(n)]}
    rows = row.take(pa.array([0] * n))
    for name, values in columns.items():
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))
    rows = pa.concat_tables([rows.slice(start, 10_000) for start in range(0, n, 10_000)])
    best = choose(rows, Wanted(where="quality < 99.0005", top="1%")).rows
    expected = sorted((i for i in range(n) if (i * 7919) % n <= 99_000), key=lambda i: -((i * 7919) % n))[:991]
    assert best["path"].to_pylist() == [f"{i:06d}.jpg" for i in expected]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), "2341675"),
        (Wanted(top="3"), "234"),
        (Wanted(top="99"), "2341675"),
        (Wanted(top="20%"), "23"),  # 1.4, rounded up
        (Wanted(top="0.1%"), "2"),
        (Wanted(top="100%"), "2341675"),
        (Wanted(by="-quality", top="2"), "57"),
        (Wanted(by="abs(quality - 50)", top="1"), "2"),
        (Wanted(where="quality < 75", top="50%"), "416"),
        (Wanted(top="3", balance="folder"), "265"),
        (Wanted(top="4", balance="folder"), "2365"),
        (Wanted(top="5", balance="folder"), "23675"),
        (Wanted(top="6", balance="folder"), "234675"),
        (Wanted(top="2", balance="folder"), "26"),
        (Wanted(top="3", balance="model"), "234"),
    ],
)
def test_top_and_balance_choose_as_described(wanted: Wanted, expected: str) -> None:
    assert names(choose(TABLE, wanted)) == expected


def test_a_table_with_aesthetics_only_is_ranked_by_them() -> None:
    rows = scored_rows({"path": "1.jpg", "aesthetics": 3}, {"path": "2.jpg", "aesthetics": 7})
    chosen = choose(rows, Wanted())
    assert (chosen.by, names(chosen)) == ("aesthetics", "21")


def test_rows_that_failed_or_have_no_value_are_never_chosen() -> None:
    rows = scored_rows(
        {"path": "1.jpg", "quality": 3, "aesthetics": 1},
        {"path": "2.jpg", "quality": 7},
        {"path": "3.jpg", "status": "unreadable", "error": "x"},
        {"path": "4.jpg", "quality": 4, "aesthetics": 4, "width": 0},
        {"path": "5.jpg", "quality": float("nan"), "aesthetics": 4},
    )
    chosen = choose(rows, Wanted(by="aesthetics / (quality - 4)"))
    assert names(chosen) == "1"  # 1 / -1, no value, no score, 4 / 0, nan of a table made by hand
    assert (chosen.n_rows, chosen.n_scored, chosen.n_matching) == (5, 4, 1)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(top="0"), r"--top 0: allowed are a share above 0% to 100% or a number from 1"),
        (Wanted(top="120%"), "--top 120%: allowed"),
        (Wanted(top="0%"), "--top 0%: allowed"),
        (Wanted(top="-3"), "--top -3: allowed"),
        (Wanted(top="many"), "--top many: allowed"),
        (Wanted(top="3", balance="quality"), "--balance quality: allowed are columns of text, path, folder"),
        (Wanted(balance="folder"), "--balance folder shares out what --top allows"),
        (Wanted(where="quality > 95"), "--where 'quality > 95' .*none of 7 scored pictures is left; "
         "quality runs from 10.0 to 90.0"),
    ],
)  # fmt: skip
def test_a_wish_that_cannot_be_met_is_named(wanted: Wanted, message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose(TABLE, wanted)


def test_a_picture_that_is_there_twice_and_a_table_without_scores_are_refused() -> None:
    with pytest.raises(UserError, match=r"'1.jpg' is in the table 2 times"):
        choose(scored_rows({"path": "1.jpg", "quality": 1}, {"path": "1.jpg", "quality": 2}), Wanted())
    with pytest.raises(UserError, match="none of the 1 rows has a score"):
        choose(scored_rows({"path": "1.jpg", "status": "crashed"}), Wanted())


def test_the_best_of_each_group_of_near_duplicates_is_kept(tmp_path: Path, render_picture: RenderPicture) -> None:
    scenes = [render_picture(seed, (240, 180)) for seed in range(6)]
    for i, scene in enumerate(scenes):
        scene.save(tmp_path / f"{i}.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "0.png").read_bytes())
    scenes[1].resize((160, 120)).save(tmp_path / "b.jpg", quality=50)
    scenes[1].filter(ImageFilter.GaussianBlur(2)).save(tmp_path / "c.jpg")
    for name in ("flat.png", "same.png"):  # nothing in them to compare, but the same file
        scenes[0].point(lambda value: 128).save(tmp_path / name)
    (tmp_path / "gone.jpg").write_bytes(b"\xff\xd8\xff")
    scores = {"0.png": 10, "1.png": 50, "a.png": 20, "b.jpg": 70, "c.jpg": 60, "flat.png": 5, "same.png": 5}
    scores |= {f"{i}.png": 30 + i for i in range(2, 6)} | {"gone.jpg": 1}
    rows = scored_rows(*({"path": path, "quality": score} for path, score in scores.items()))
    chosen = choose(rows, Wanted(unique=0.2), tmp_path)
    assert names(chosen) == "b5432aflatgone"
    assert (chosen.n_matching, chosen.n_unique) == (12, 8)
    assert list(chosen.not_compared) == ["gone.jpg"]
    assert names(choose(rows, Wanted(unique=0.2, by="-quality"), tmp_path)) == "goneflat023451"
    assert names(choose(rows, Wanted(unique=1.0), tmp_path)).count("flat") == 1
    assert "c" in names(choose(rows, Wanted(unique=1.0), tmp_path))
    assert names(choose(rows, Wanted(unique=0.2, top="25%"), tmp_path)) == "b5"  # a quarter of the 8 that are left


def test_near_duplicates_are_found_in_archives_and_stores(tmp_path: Path, render_picture: RenderPicture) -> None:
    fsspec = pytest.importorskip("fsspec", reason="needs beholder[scale]")
    scenes = [jpeg(render_picture(seed, (240, 180))) for seed in range(3)]
    write_tar(tmp_path / "x.tar", {"a/0.jpg": scenes[0], "a/1.jpg": scenes[1]})
    (tmp_path / "2.jpg").write_bytes(scenes[2])
    store = f"memory://{uuid4().hex}"
    for i, scene in enumerate(scenes):
        fsspec.filesystem("memory").pipe(f"{store}/{i}.jpg", scene)
    paths = [f"{store}/2.jpg", f"{store}/1.jpg", f"{store}/0.jpg", "2.jpg", "x.tar::a/1.jpg", "x.tar::a/0.jpg"]
    rows = scored_rows(*({"path": path, "quality": 50 - i} for i, path in enumerate(paths)))
    chosen = choose(rows, Wanted(unique=0.2), tmp_path)
    assert chosen.not_compared == {}
    assert chosen.rows["path"].to_pylist() == paths[:3]
