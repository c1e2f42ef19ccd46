from __future__ import annotations

from beholder.scoring.score import Score

GOOD = Score(
    quality=71.26,
    aesthetics=48.0,
    quality_levels=(0.0, 0.1, 0.1, 0.5, 0.3),
    aesthetics_levels=(0.1, 0.2, 0.4, 0.2, 0.1),
    path="holiday.jpg",
)
FAILED = Score(path="<b>odd</b>.jpg", status="unreadable", error="truncated & empty")


def test_a_score_reads_as_one_line() -> None:
    assert str(GOOD) == "holiday.jpg: quality 71.3, aesthetics 48.0"
    assert str(Score(quality=5.0)) == "picture: quality 5.0"


def test_a_failed_score_reads_as_its_reason() -> None:
    assert str(FAILED) == "<b>odd</b>.jpg: unreadable (truncated & empty)"


def test_a_notebook_shows_both_scores_and_a_bar_per_level() -> None:
    html = GOOD._repr_html_()
    assert "<b>71.3</b> / 100" in html
    assert "<b>48.0</b> / 100" in html
    assert html.count("<td title=") == 10
    assert 'title="good 50%"' in html


def test_a_notebook_shows_file_names_as_text() -> None:
    html = FAILED._repr_html_()
    assert "<b>odd</b>" not in html
    assert "&lt;b&gt;odd&lt;/b&gt;.jpg" in html
    assert "truncated &amp; empty" in html
