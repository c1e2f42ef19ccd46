import numpy as np
import pytest

pytest.importorskip("scipy")

from beholder.uniqa.purify import best, judge, ranks, report, row_of

SIMILARITY = [0.62, 0.48, 0.71, 0.55, 0.62]
WORDS = [12, 30, 6, 18, 18]


def test_ranks_of_the_spec():
    assert ranks(SIMILARITY).tolist() == [2.5, 5, 1, 4, 2.5]
    assert ranks(WORDS).tolist() == [4, 1, 5, 2.5, 2.5]
    assert (ranks(SIMILARITY) + ranks(WORDS)).tolist() == [6.5, 6, 6, 6.5, 5]


def test_the_best_two_of_the_spec():
    assert best(ranks(SIMILARITY), ranks(WORDS), k=2) == [4, 2]


def test_ties_go_to_the_smaller_ar_then_to_the_first():
    assert best([1, 2, 3], [3, 2, 1], k=3) == [0, 1, 2]
    assert best([2, 2], [1, 1], k=1) == [0]


def comments_of(counts):
    return [" ".join([f"c{i}"] * count) for i, count in enumerate(counts)]


def by_table(texts, references):
    return [SIMILARITY[int(text.split()[0][1:])] for text in texts]


def test_a_picture_keeps_the_best_and_says_why_the_others_went():
    judged = judge(comments_of(WORDS), ["reference"], by_table, k=2)
    assert [one.reason for one in judged] == ["rank", "rank", None, "rank", None]
    assert [one.ar for one in judged] == [2.5, 5, 1, 4, 2.5]
    assert [one.ir for one in judged] == [4, 1, 5, 2.5, 2.5]
    assert [one.similarity for one in judged] == SIMILARITY


def test_all_are_kept_where_there_are_no_more_than_k():
    assert [one.reason for one in judge(comments_of(WORDS), ["r"], by_table, k=5)] == [None] * 5


def test_what_says_nothing_is_dropped_before_ranking():
    comments = ["a fine light here", "", "  ", "a fine light here ", "nice shot", "so much noise in it"]
    judged = judge(comments, ["light"], lambda texts, refs: np.linspace(1, 0, len(texts)), k=4)
    assert [one.reason for one in judged] == [None, "empty", "empty", "duplicate", "short", None]
    assert [one.ar for one in judged] == [1, None, None, None, None, 2]


def forbidden(texts, references):
    raise AssertionError("there is nothing to compare with")


def test_without_reference_no_comment_is_used():
    judged = judge(["one two three", "x"], [], forbidden)
    assert [one.reason for one in judged] == ["no_reference", "short"]
    row = row_of("a.jpg", "a.jpg", None, judged)
    assert (row["status"], row["captions"]) == ("no_reference", [])
    assert row["error"]


def test_length_alone_can_rank_where_there_is_no_reference():
    judged = judge(["one two three", "one two three four", "one two three four five"], [], forbidden, k=2, ir_only=True)
    assert [one.reason for one in judged] == ["rank", None, None]


def test_a_picture_with_nothing_but_noise_has_no_comments():
    row = row_of("a.jpg", "a.jpg", "good", judge(["wow", ""], ["reference"], forbidden))
    assert (row["status"], row["captions"]) == ("no_comments", [])


def test_the_report_counts_every_comment_once():
    rows = [
        row_of("a", "a", "good", judge(comments_of(WORDS), ["r"], by_table, k=2)),
        row_of("b", "b", None, judge(["one two three", ""], [], forbidden)),
    ]
    found = report(rows)
    assert (found.n_comments, found.n_kept) == (7, 2)
    assert found.dropped == {"rank": 3, "no_reference": 1, "empty": 1}
    assert found.pictures == {"ok": 1, "no_reference": 1}
