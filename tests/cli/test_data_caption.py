import json
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from chat_server import Reply, completion, serving

from beholder.cli import main

pytest.importorskip("httpx")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "BEHOLDER_TEST_MANIFESTS"):
        monkeypatch.delenv(name, raising=False)


def write_set(folder, render_picture, splits, task="quality", first=0):
    folder.mkdir()
    rows = ["path,score,split"]
    for i, split in enumerate(splits):
        render_picture(first + i, (64, 48)).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{1 + i % 5},{split}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder / "dataset.toml").write_text(
        f'name = "{folder.name}"\ntask = "{task}"\nlicence = "CC0-1.0"\nsource = "rendered"\nsplit_by = "row"\n'
        'image_root = "."\n\n[range]\nlow = 1\nhigh = 5\nhigher_is_better = true\n'
    )
    return folder


@pytest.fixture
def toy(tmp_path, render_picture):
    return write_set(tmp_path / "toy", render_picture, ["train"] * 6 + ["val", "test"])


def caption(toy, *more):
    return main(["data", "caption", str(toy), "-o", str(toy.parent / "out.jsonl"), *more])


def rows(toy):
    return [json.loads(line) for line in (toy.parent / "out.jsonl").read_text().splitlines()]


def settings(toy):
    return json.loads((toy.parent / "out.meta.json").read_text())["settings"]


def test_without_a_model_every_training_picture_gets_a_text(toy, capsys):
    assert caption(toy, "--captions", "2") == 0
    found = rows(toy)
    assert [row["image_id"] for row in found] == [f"{i}.png" for i in range(6)]
    assert [row["level"] for row in found] == ["bad", "poor", "fair", "good", "perfect", "bad"]
    assert list(found[0]) == [
        "image_id", "path", "task", "level", "captioner", "prompt_version", "captions", "status", "error"
    ]  # fmt: skip
    assert all(len(row["captions"]) == 2 and row["level"] in row["captions"][1] for row in found)
    assert (toy.parent / found[0]["path"]).is_file()
    assert settings(toy)["allow_test"] is False
    assert "6 of 6 pictures have texts, from template" in capsys.readouterr().err


def test_what_pre_training_reads_is_what_was_written(toy):
    from beholder.uniqa.texts import read_unified

    caption(toy)
    unified = read_unified([toy.parent / "out.jsonl"])
    assert len(unified) == 6
    assert not unified.refused.counts


def test_an_endpoint_writes_and_its_failures_are_rows(toy, capsys):
    def answer(payload, n):
        words = payload["messages"][0]["content"][1]["text"]
        if "rated its technical quality as fair" in words:
            return completion("")
        return completion(words.split("quality as ")[1].split(";")[0] + " indeed")

    with serving(answer) as server:
        line = ["--backend", "endpoint", "--model", "toy-vlm", "--base-url", server.base_url, "--concurrency", "3"]
        assert caption(toy, *line) == 2
        assert [row["status"] for row in rows(toy)] == ["ok", "ok", "empty", "ok", "ok", "ok"]
        assert [row["captions"] for row in rows(toy)[:3]] == [["bad indeed"], ["poor indeed"], []]
        assert rows(toy)[0]["captioner"] == "endpoint:toy-vlm"
        assert "empty 1" in capsys.readouterr().err
        assert len(server.requests) == 6
        assert caption(toy, *line) == 2, "nothing is asked again without being told to"
        assert len(server.requests) == 6
    with serving(lambda payload, n: completion("fair now")) as server:
        line[5] = server.base_url
        assert caption(toy, *line, "--retry-failed") == 0
        assert len(server.requests) == 1
    assert rows(toy)[2]["captions"] == ["fair now"]


def test_a_wrong_key_is_one_line_and_no_row(toy, capsys):
    with serving(lambda payload, n: Reply(401, "who are you?")) as server:
        assert caption(toy, "--backend", "endpoint", "--model", "m", "--base-url", server.base_url) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "OPENAI_API_KEY" in error
    assert rows(toy) == []


def test_the_key_is_nowhere_in_what_is_written(toy, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret")
    with serving(lambda payload, n: Reply(400, "no")) as server:
        assert caption(toy, "--backend", "endpoint", "--model", "m", "--base-url", server.base_url) == 2
    written = "".join(file.read_text() for file in toy.parent.glob("out.*"))
    assert "very-secret" not in written + capsys.readouterr().err


def test_a_killed_run_is_finished_by_the_same_command(toy):
    out = toy.parent / "out.jsonl"
    killed = threading.Event()

    def answer(payload: dict[str, object], n: int) -> Reply:
        if n >= 3:
            killed.wait(120)  # so it is killed in the middle, however late
        return completion(f"text {n}")

    with serving(answer) as server:
        line = ["--backend", "endpoint", "--model", "m", "--base-url", server.base_url, "--concurrency", "1"]
        command = [sys.executable, "-m", "beholder", "data", "caption", str(toy), "-o", str(out), *line]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        while not out.exists() or out.read_bytes().count(b"\n") < 2:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed.set()
        kept = out.read_bytes()
        n_kept = kept.count(b"\n")
        assert 2 <= n_kept < 6
        assert caption(toy, *line) == 0
    assert out.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert [row["image_id"] for row in rows(toy)] == [f"{i}.png" for i in range(6)]
    assert len({row["captions"][0] for row in rows(toy)}) == 6


def test_a_picture_of_a_registered_test_set_is_refused(toy, render_picture, monkeypatch, capsys):
    other = write_set(toy.parent / "benchmark", render_picture, ["train", "test"], first=50)
    shutil.copy(toy / "4.png", other / "1.png")
    shutil.copy(toy / "7.png", toy / "0.png")  # its own test picture, once more among the training pictures
    assert caption(toy, "--test-manifest", str(other)) == 2
    assert [row["status"] for row in rows(toy)] == ["held_out", "ok", "ok", "ok", "held_out", "ok"]
    assert rows(toy)[4]["captions"] == []
    assert "benchmark" in rows(toy)[4]["error"]
    assert settings(toy)["test_manifests"].keys() == {"toy", "benchmark"}
    assert caption(toy, "--overwrite", "--test-manifest", str(other), "--allow-test") == 0
    assert settings(toy)["allow_test"] is True
    monkeypatch.setenv("BEHOLDER_TEST_MANIFESTS", str(other))
    capsys.readouterr()
    assert caption(toy, "--overwrite") == 2
    assert "held_out 2" in capsys.readouterr().err


def test_other_parts_need_to_be_allowed(toy, capsys):
    assert caption(toy, "--split", "val") == 1
    assert "--allow-test" in capsys.readouterr().err
    assert not (toy.parent / "out.jsonl").exists()
    assert caption(toy, "--split", "val", "--split", "test", "--allow-test") == 0
    assert [row["image_id"] for row in rows(toy)] == ["6.png", "7.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "x"], "--model says nothing to --backend template"),
        (["--backend", "endpoint", "--model", "x", "--batch", "2"], "--batch says nothing to --backend endpoint"),
        (["--backend", "endpoint"], "--backend endpoint needs --model"),
        (["--backend", "endpoint", "--model", "x"], "OPENAI_BASE_URL"),
        (["--split", "all"], "allowed are train, val, test"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused(toy, capsys, words, message):
    assert caption(toy, *words) == 1
    assert message in capsys.readouterr().err


def test_another_task_has_no_level(toy):
    assert caption(toy, "--task", "aesthetics") == 0
    assert {(row["task"], row["level"]) for row in rows(toy)} == {("aesthetics", None)}


def test_a_local_model_can_write(toy):
    pytest.importorskip("transformers")
    from tiny_vlm import write_tiny_vlm

    model = write_tiny_vlm(toy.parent / "tiny-vlm")
    line = ["--backend", "local", "--model", str(model), "--temperature", "1", "--max-tokens", "300"]
    assert caption(toy, *line) in (0, 2)
    assert {row["captioner"] for row in rows(toy)} == {"local:tiny-vlm"}
    assert sum(row["status"] == "ok" for row in rows(toy)) >= 3


def test_captions_go_to_the_official_layout_and_back(toy, capsys):
    caption(toy)
    official, back = toy.parent / "texts.json", toy.parent / "back.jsonl"
    convert = ["data", "convert-captions"]
    assert main([*convert, str(toy.parent / "out.jsonl"), "-o", str(official)]) == 0
    assert json.loads(official.read_text())[1]["image_path"] == "toy/1.png"
    assert main([*convert, str(official), "-o", str(back)]) == 1
    assert "--task" in capsys.readouterr().err
    assert main([*convert, str(official), "-o", str(back), "--task", "quality"]) == 0
    assert [json.loads(line)["captions"] for line in back.read_text().splitlines()] == [
        row["captions"] for row in rows(toy)
    ]
    assert main([*convert, str(official), "-o", str(toy.parent / "x.csv")]) == 1


def test_comments_are_purified_against_captions(tmp_path, render_picture, capsys):
    pytest.importorskip("sklearn")
    photos = write_set(tmp_path / "photos", render_picture, ["train"] * 3 + ["test"], task="aesthetics")
    assert caption(photos) == 0
    text = rows(photos)[0]["captions"][0]
    comments = [
        "0.png,nice",
        f'0.png,"{text} I like it."',
        "0.png,buy cheap watches here today",
        "0.png,",
        "3.png,lovely light here",
    ]
    (tmp_path / "comments.csv").write_text("\n".join(["image_id,comment", *comments]) + "\n")
    line = [
        "data",
        "purify",
        str(tmp_path / "comments.csv"),
        str(tmp_path / "out.jsonl"),
        "-o",
        str(tmp_path / "pure.jsonl"),
    ]
    assert main([*line, "-k", "1"]) == 0
    first, last = (json.loads(line) for line in (tmp_path / "pure.jsonl").read_text().splitlines())
    assert first["captions"] == [f"{text} I like it."]
    assert [one["reason"] for one in first["dropped"]] == ["short", "rank", "empty"]
    assert last["status"] == "no_reference"
    out = capsys.readouterr().out
    assert "1 of 5 comments kept" in out
    assert "dropped, no_reference: 1" in out
    assert main([*line, "--ir-only", "--encoder", "lsa"]) == 0
    assert main([*line, "--encoder", str(tmp_path / "no-such-clip")]) == 1
    assert "no-such-clip" in capsys.readouterr().err
