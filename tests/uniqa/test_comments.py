import json

import pytest

pytest.importorskip("sklearn")

from beholder.errors import UserError
from beholder.language.rows import write_rows
from beholder.uniqa.comments import purify, read_comments
from beholder.uniqa.similarity import Tfidf


def caption(name, text, status="ok", task="aesthetics"):
    return {
        "image_id": name, "path": f"pictures/{name}", "task": task, "level": "good", "captions": [text] if text else [],
        "status": status, "error": None if status == "ok" else status,
    }  # fmt: skip


@pytest.fixture
def files(tmp_path):
    comments = tmp_path / "comments.jsonl"
    rows = [
        {"image_id": "1.jpg", "comments": ["the calm sea under a tilted horizon", "cheap watches in our shop", "wow"]},
        {"image_id": "2.jpg", "comments": ["great mood in the old street"], "path": "elsewhere/2.jpg"},
        {"image_id": "3.jpg", "comments": ["a test picture of some kind"]},
        {"image_id": "4.jpg", "comments": ["the caption of this one failed"]},
    ]
    comments.write_text("".join(json.dumps(row) + "\n" for row in rows))
    captions = tmp_path / "texts" / "captions.jsonl"
    captions.parent.mkdir()
    write_rows(
        [
            caption("1.jpg", "calm sea with a tilted horizon"),
            caption("3.jpg", "", "held_out"),
            caption("4.jpg", "", "timeout"),
            caption("2.jpg", "sharp detail", task="quality"),
        ],
        captions,
    )
    return comments, captions


def test_comments_are_compared_with_the_caption_of_their_own_picture(files, tmp_path):
    rows = purify(*files, tmp_path / "out.jsonl", Tfidf, k=1)
    first = rows[0]
    assert first["captions"] == ["the calm sea under a tilted horizon"]
    assert first["path"] == "texts/pictures/1.jpg", "rebased from the folder of the captions to that of the output"
    assert (first["task"], first["level"], first["captioner"]) == ("aesthetics", "good", "people")
    assert [(one["text"], one["reason"]) for one in first["dropped"]] == [
        ("cheap watches in our shop", "rank"), ("wow", "short")
    ]  # fmt: skip
    assert [row["status"] for row in rows] == ["ok", "no_reference", "held_out", "no_reference"]


def test_with_ir_only_pictures_without_caption_keep_their_comments_but_test_pictures_never(files, tmp_path):
    rows = purify(*files, tmp_path / "out.jsonl", Tfidf, ir_only=True)
    assert [row["status"] for row in rows] == ["ok", "ok", "held_out", "ok"]
    assert rows[1]["path"] == "elsewhere/2.jpg"
    assert rows[3]["path"] == "texts/pictures/4.jpg"
    assert rows[2]["captions"] == []


def test_a_table_has_a_row_per_comment(tmp_path):
    (tmp_path / "c.csv").write_text('image_id,comment\n1.jpg,"one, two"\n2.jpg,three\n1.jpg,four\n')
    found = read_comments(tmp_path / "c.csv")
    assert {name: entry.texts for name, entry in found.items()} == {"1.jpg": ["one, two", "four"], "2.jpg": ["three"]}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.csv", "id,text\n1,two\n", "lacks the columns comment, image_id"),
        ("c.csv", "image_id,comment\n,two\n", "line 2: image_id is empty"),
        ("c.csv", "image_id,comment\n", "no comments"),
        ("c.jsonl", '{"image_id": "1", "comments": "one"}\n', "line 1: comments = 'one'"),
        ("c.txt", "hello\n", "ends in '.txt'"),
    ],
)
def test_another_layout_is_refused(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=words):
        read_comments(tmp_path / name)


def test_captions_about_quality_are_no_reference(files, tmp_path):
    write_rows([caption("1.jpg", "sharp", task="quality")], tmp_path / "quality.jsonl")
    with pytest.raises(UserError, match="no row about aesthetics"):
        purify(files[0], tmp_path / "quality.jsonl", tmp_path / "out.jsonl", Tfidf)
