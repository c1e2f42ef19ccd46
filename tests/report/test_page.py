from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import RenderPicture
from tar_files import jpeg, write_tar
from tiny_model import write_tiny_checkpoint

from beholder.batch.files import read_rows, write_rows
from beholder.batch.rows import path_text, rows_table
from beholder.errors import UserError
from beholder.report.gallery import Places, by_score, rows_that_fit, thumbnail_lines
from beholder.report.numbers import folders_of, spread_of
from beholder.report.page import write_report
from beholder.report.thumbnails import SIZES, thumbnail
from beholder.scoring.card import Card
from beholder.scoring.score import Score

from .conftest import HOSTILE, data_of


def page_of(holiday: Path, tmp_path: Path, **options: object) -> str:
    out = tmp_path / "report.html"
    write_report(holiday / "scores.parquet", out, **options)  # type: ignore[arg-type]
    return out.read_text(encoding="utf-8")


def thumbnails_of(page: str) -> list[str]:
    return page.split('id="thumbnails">')[1].split("</script>")[0].split("\n")


def test_the_page_holds_every_scored_row_and_a_thumbnail_of_each(holiday: Path, tmp_path: Path) -> None:
    page = page_of(holiday, tmp_path)
    rows = data_of(page)["rows"]
    stored = read_rows(holiday / "scores.parquet").to_pylist()
    scored = [row for row in stored if row["status"] == "ok"]
    assert rows["name"] == [Path(row["path"]).name for row in scored]
    assert rows["quality"] == [pytest.approx(row["quality"], abs=0.005) for row in scored]
    assert len(thumbnails_of(page)) == 30
    assert all(thumbnails_of(page))


def test_the_page_loads_nothing_from_elsewhere(holiday: Path, tmp_path: Path) -> None:
    page = page_of(holiday, tmp_path)
    text = page.split('id="thumbnails">')[0]
    assert re.findall(r'(?:src|href|url\()\s*=?["\']?(?:https?:)?//', text) == []
    assert re.search(r"Content-Security-Policy\" content=\"default-src 'none'", text)


def test_every_failure_is_on_the_page_with_its_reason(holiday: Path, tmp_path: Path) -> None:
    page = page_of(holiday, tmp_path)
    assert "2 unreadable" in page
    assert "file is empty (0 bytes)" in page
    assert "not a picture but an &lt;b&gt;HTML&lt;/b&gt; page" in page


def test_a_hostile_file_name_stays_text(holiday: Path, tmp_path: Path) -> None:
    page = page_of(holiday, tmp_path)
    assert HOSTILE in data_of(page)["rows"]["name"]
    assert "<img src=x" not in page


def test_a_page_of_many_pictures_keeps_to_its_size(holiday: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.html"
    made = write_report(holiday / "scores.parquet", whole)
    assert made.n_bytes == whole.stat().st_size
    rows = read_rows(holiday / "scores.parquet")
    write_rows([rows] * 40, tmp_path / "many.parquet")
    small = write_report(tmp_path / "many.parquet", tmp_path / "small.html", max_mb=1.5)
    assert small.n_bytes == (tmp_path / "small.html").stat().st_size <= 1_500_000
    assert (small.n_rows, small.n_failed, small.n_gallery) == (33 * 40, 3 * 40, 30 * 40)


def test_where_thumbnails_do_not_fit_the_ends_of_the_scores_have_them(holiday: Path) -> None:
    rows = read_rows(holiday / "scores.parquet").slice(0, 30)
    places = Places(Path(), holiday)
    room = 3 * len(thumbnail(rows["path"][0].as_py(), SIZES[-1]) or "")
    lines = thumbnail_lines(rows, places, room, lambda n_done, n_total: None)
    have = [i for i, line in enumerate(lines) if line]
    assert 0 < len(have) < 6
    assert sum(map(len, lines)) <= room
    assert set(have) <= {0, 1, 2, 27, 28, 29}  # quality rises from row to row


def test_rows_that_do_not_fit_leave_a_part_spread_over_the_scores(holiday: Path) -> None:
    rows = read_rows(holiday / "scores.parquet").slice(0, 30)
    places = Places(Path(), holiday)
    whole, text = rows_that_fit(rows, places, 10**6)
    assert len(whole) == 30
    part, part_text = rows_that_fit(rows, places, len(text) // 2)
    assert len(part_text) <= len(text) // 2
    assert 5 < len(part) < 20
    kept = part["quality"].to_pylist()
    assert (kept[0], kept[-1]) == (10.0, 68.0)
    assert max(b - a for a, b in pairwise(kept)) <= 10.0


def test_a_picture_that_is_gone_has_no_thumbnail_and_the_page_says_so(
    holiday: Path, tmp_path: Path, card: Card
) -> None:
    scores = [Score(50.0 + i, 40.0, path=str(tmp_path / f"{i}.jpg"), width=9, height=9) for i in range(3)]
    write_rows([rows_table(scores, card)], tmp_path / "scores.parquet")
    made = write_report(tmp_path / "scores.parquet", tmp_path / "report.html")
    assert (made.n_gallery, made.n_thumbnails) == (3, 0)
    assert "3 have no thumbnail" in (tmp_path / "report.html").read_text()


def test_nothing_scored_is_a_page_of_failures(tmp_path: Path, card: Card) -> None:
    score = Score(path="a.jpg", status="unreadable", error="no such file")
    write_rows([rows_table([score], card)], tmp_path / "scores.parquet")
    made = write_report(tmp_path / "scores.parquet", tmp_path / "report.html")
    assert (made.n_rows, made.n_failed, made.n_gallery) == (1, 1, 0)
    assert "no such file" in (tmp_path / "report.html").read_text()


def test_links_lead_from_the_page_to_the_pictures_with_odd_names_escaped(tmp_path: Path, card: Card) -> None:
    places = Places(tmp_path / "pictures", tmp_path / "pages")
    assert places.url("summer 50%/a#b.jpg") == "../pictures/summer%2050%25/a%23b.jpg"
    assert places.url(path_text("caf\udce9.jpg")) == "../pictures/caf%E9.jpg"


def test_pictures_in_archives_and_stores_have_thumbnails_and_no_links(
    tmp_path: Path, card: Card, render_picture: RenderPicture
) -> None:
    fsspec = pytest.importorskip("fsspec", reason="needs beholder[scale]")
    (tmp_path / "pictures").mkdir()
    write_tar(tmp_path / "pictures/x.tar", {"a/1.jpg": jpeg(render_picture(1, (64, 48)))})
    address = f"memory://{uuid4().hex}/2.jpg"
    fsspec.filesystem("memory").pipe(address, jpeg(render_picture(2, (64, 48))))
    paths = ["x.tar::a/1.jpg", address]
    write_rows(
        [rows_table([Score(50.0 + i, path=path) for i, path in enumerate(paths)], card)], tmp_path / "scores.parquet"
    )
    made = write_report(tmp_path / "scores.parquet", tmp_path / "report.html", pictures=tmp_path / "pictures")
    assert made.n_thumbnails == 2
    page = (tmp_path / "report.html").read_text()
    assert [folder["url"] for folder in data_of(page)["folders"]] == [None, None]
    assert [Places(tmp_path / "pictures", tmp_path).url(path) for path in paths] == [None, None]


def test_the_card_is_the_one_of_the_model_that_scored(holiday: Path, tmp_path: Path, card: Card) -> None:
    assert card.limits[0] in page_of(holiday, tmp_path)
    other = write_tiny_checkpoint(tmp_path / "tiny")
    with pytest.raises(UserError, match="the rows are by beholder-mini"):
        page_of(holiday, tmp_path, model=other)
    scores = [Score(50.0, 40.0, path="a.jpg", width=9, height=9)]
    write_rows([rows_table(scores, Card.read(other / "card.json"))], tmp_path / "tiny.parquet")
    write_report(tmp_path / "tiny.parquet", tmp_path / "tiny.html")
    assert "card of this model was not found" in (tmp_path / "tiny.html").read_text()
    write_report(tmp_path / "tiny.parquet", tmp_path / "tiny.html", model=other)
    assert "Knows nothing." in (tmp_path / "tiny.html").read_text()


def test_a_page_about_a_cascade_names_both_models_with_their_cards(tmp_path: Path, card: Card) -> None:
    other = write_tiny_checkpoint(tmp_path / "tiny")
    slow = [Score(50.0, 40.0, path=f"slow{i}.jpg", width=9, height=9) for i in range(2)]
    fast = [Score(60.0, 40.0, path="fast.jpg", width=9, height=9), Score(path="x.jpg", status="crashed", error="x")]
    tables = [rows_table(slow, Card.read(other / "card.json")), rows_table(fast, card)]
    write_rows(tables, tmp_path / "scores.parquet")
    for model in ((), other, [other]):
        write_report(tmp_path / "scores.parquet", tmp_path / "report.html", model=model)
        page = (tmp_path / "report.html").read_text()
        assert "By tiny and beholder-mini, from scores.parquet." in page
        assert "<h3>tiny: 2 pictures</h3>" in page
        assert "<h3>beholder-mini: 1 picture</h3>" in page
        assert card.limits[0] in page
        assert ("Knows nothing." in page) == (model != ())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"out": "report.parquet"}, "its name ends in .html"),
        ({"out": "missing/report.html"}, "does not exist"),
        ({"max_mb": 0}, "allowed are numbers above 0"),
        ({"max_mb": 0.01}, "without a gallery"),
    ],
)
def test_what_can_not_be_written_is_refused_with_what_to_try(
    options: dict[str, object], reason: str, holiday: Path, tmp_path: Path
) -> None:
    arguments = {"out": "report.html"} | options
    with pytest.raises(UserError, match=reason):
        write_report(holiday / "scores.parquet", tmp_path / str(arguments.pop("out")), **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_name_for_a_page(holiday: Path, tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(UserError, match=r"report\.html: it is a folder"):
        write_report(holiday / "scores.parquet", tmp_path / "report.html")


def test_a_score_that_is_no_number_is_none_on_the_page(tmp_path: Path, card: Card) -> None:
    scores = [Score(value, 40.0, path=f"{i}.jpg") for i, value in enumerate((10.0, 20.0, 30.0, float("nan")))]
    write_rows([rows_table(scores, card)], tmp_path / "scores.csv")  # as a table that people edited may have it
    write_report(tmp_path / "scores.csv", tmp_path / "report.html")
    assert data_of((tmp_path / "report.html").read_text())["rows"]["quality"] == [10, 20, 30, None]


def test_the_summary_of_a_folder_counts_what_lies_in_it(holiday: Path) -> None:
    beach, hall = folders_of(read_rows(holiday / "scores.parquet"))
    assert (Path(beach.path).name, beach.n, beach.n_failed) == ("beach", 23, 3)
    assert (Path(hall.path).name, hall.n, hall.n_failed) == ("town hall", 10, 0)
    assert hall.spreads["quality"].median == 37.0  # pictures 0, 3, ..., 27
    assert sum(beach.spreads["aesthetics"].counts) == 20


def test_a_spread_has_every_score_in_a_bin_and_leaves_out_what_is_missing() -> None:
    spread = spread_of(np.array([0.0, 100.0, np.nan, 50.0]))
    assert spread is not None
    assert (spread.n, spread.median, sum(spread.counts)) == (3, 50.0, 3)
    assert (spread.counts[0], spread.counts[-1]) == (1, 1)
    assert spread_of(np.array([np.nan])) is None


def test_the_same_scores_make_the_same_page(holiday: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert page_of(holiday, tmp_path / "a") == page_of(holiday, tmp_path / "b")


def test_csv_and_jsonl_make_the_same_gallery(holiday: Path, tmp_path: Path) -> None:
    rows = pq.read_table(holiday / "scores.parquet")
    write_rows([rows], tmp_path / "scores.csv")
    write_report(tmp_path / "scores.csv", tmp_path / "report.html")
    from_csv = data_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert json.dumps(from_csv["rows"]) == json.dumps(data_of(page_of(holiday, tmp_path))["rows"])


def test_order_by_score_is_by_the_first_task_that_was_scored(holiday: Path) -> None:
    rows = read_rows(holiday / "scores.parquet").slice(0, 30)
    assert by_score(rows) == list(range(30))
    only = rows.set_column(1, "quality", [[None] * 30]).cast(rows.schema)
    assert by_score(only) == list(range(29, -1, -1))
