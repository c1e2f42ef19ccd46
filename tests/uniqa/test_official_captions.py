import json

import pytest

from beholder.errors import UserError
from beholder.language.rows import read_rows, write_rows
from beholder.uniqa.official_captions import export_official, import_official


def row(name, texts, status="ok"):
    return {
        "image_id": name, "path": f"pictures/{name}", "task": "quality", "level": "good", "captioner": "template",
        "prompt_version": "1", "captions": texts, "status": status, "error": None,
    }  # fmt: skip


def test_there_and_back(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ours, official, back = tmp_path / "a" / "ours.jsonl", tmp_path / "b" / "theirs.json", tmp_path / "a" / "back.jsonl"
    write_rows([row("1.jpg", ["one"]), row("2.jpg", ["two", "zwei"]), row("3.jpg", [], "timeout")], ours)
    assert export_official(ours, official) == 2
    assert json.loads(official.read_text()) == [
        {"image_path": "../a/pictures/1.jpg", "prompt": "one"},
        {"image_path": "../a/pictures/2.jpg", "prompt": ["two", "zwei"]},
    ]
    assert import_official(official, back, "quality") == 2
    first, second = read_rows(back)
    assert (first["path"], first["captions"], first["status"], first["level"]) == (
        "pictures/1.jpg",
        ["one"],
        "ok",
        None,
    )
    assert second["captions"] == ["two", "zwei"]


def test_paths_can_be_relative_to_a_folder_of_pictures(tmp_path):
    write_rows([row("1.jpg", ["one"])], tmp_path / "ours.jsonl")
    export_official(tmp_path / "ours.jsonl", tmp_path / "out.json", root=tmp_path / "pictures")
    assert json.loads((tmp_path / "out.json").read_text())[0]["image_path"] == "1.jpg"
    import_official(tmp_path / "out.json", tmp_path / "back.jsonl", "quality", root=tmp_path / "pictures")
    assert read_rows(tmp_path / "back.jsonl")[0]["path"] == "pictures/1.jpg"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "list of objects"),
        ("no json", "not JSON"),
        ('[{"image_path": "a.jpg"}]', "entry 0"),
        ('[{"image_path": "a.jpg", "prompt": "x"}, {"image_path": "b.jpg", "prompt": [" "]}]', "entry 1"),
        ('[{"image_path": "a.jpg", "prompt": []}]', "entry 0"),
        ('["a.jpg"]', "entry 0"),
    ],
)
def test_another_layout_is_refused_with_its_place(tmp_path, content, words):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(UserError, match=words):
        import_official(tmp_path / "bad.json", tmp_path / "out.jsonl", "quality")
    assert not (tmp_path / "out.jsonl").exists()


def test_nothing_to_export_is_said(tmp_path):
    write_rows([row("1.jpg", [], "timeout")], tmp_path / "ours.jsonl")
    with pytest.raises(UserError, match="nothing to export"):
        export_official(tmp_path / "ours.jsonl", tmp_path / "out.json")
