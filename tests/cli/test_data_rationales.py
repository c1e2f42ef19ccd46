import json
import signal
import subprocess
import sys
import threading
import time

import pytest
from chat_server import Reply, completion, serving

from beholder.cli import main
from beholder.tatar.rationale import read_rationales
from beholder.tatar.rules import ASPECTS, broken_rule

pytest.importorskip("httpx")

QUALITY = (
    "Fine detail is crisp and the exposure is even across the whole frame, so that edges stay clear. "
    "What noise there is stays in the shadows, where it takes little away from the detail."
)
NARRATIVE = (
    "Among the visual elements the warm colour of the wall and the long line of the roof meet the eye first, and they "
    "hold it for a while. The composition sets the door well to one side, and the frame is read from there towards the "
    "open sky. Seen as a whole the parts keep each other company without much tension between them. On the technical "
    "side the focus is sure and the exposure is even, so that small things can be read. The theme is a house at the "
    "end of a day, told without any fuss. In emotion it is calm, and the mood lasts. In originality it stays close to "
    "what one knows of such places. Overall the impression follows from all of these points, one by one."
)
NOTES = "\n".join(f"{aspect}: something plain to see here" for aspect in ASPECTS)
MARKS = {"fidelity": 5, "rigour": 4, "consistency": 5, "coverage": 4, "groundedness": 4, "cohesion": 4, "smoothness": 4}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "BEHOLDER_TEST_MANIFESTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def make_set(tmp_path, render_picture):
    def make(task="quality", splits=("train",) * 5 + ("test",)):
        folder = tmp_path / "toy"
        folder.mkdir()
        rows = ["path,score,split"]
        for i, split in enumerate(splits):
            render_picture(i, (64, 48)).save(folder / f"{i}.png")
            rows.append(f"{i}.png,{1 + i % 5},{split}")
        (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
        (folder / "dataset.toml").write_text(
            f'name = "toy"\ntask = "{task}"\nlicence = "CC0-1.0"\nsource = "rendered"\nsplit_by = "row"\n'
            'image_root = "."\n\n[range]\nlow = 1\nhigh = 5\nhigher_is_better = true\n'
        )
        return folder

    return make


def rationales(toy, *more):
    return main(["data", "rationales", str(toy), "-o", str(toy.parent / "out.jsonl"), *more])


def rows(toy, name="out.jsonl"):
    return [json.loads(line) for line in (toy.parent / name).read_text().splitlines()]


def endpoint(server, *more):
    return ["--backend", "endpoint", "--model", "teacher", "--base-url", server.base_url, "--attempts", "2", *more]


def told(payload):
    return payload["messages"][0]["content"][-1]["text"]


@pytest.mark.parametrize("task", ["quality", "aesthetics"])
def test_without_a_model_every_training_picture_gets_a_text_that_may_be_learned_from(make_set, task, capsys):
    toy = make_set(task)
    assert rationales(toy) == 0
    assert list(rows(toy)[0]) == [
        "image_id", "path", "task", "target", "level", "teacher", "judge", "prompt_version", "rationales", "status",
        "error",
    ]  # fmt: skip
    found = read_rationales(toy.parent / "out.jsonl")
    assert [r.target for r in found] == [0, 25, 50, 75, 100]
    assert all(broken_rule(r.text, task, row["level"]) is None for r, row in zip(found, rows(toy), strict=True))
    assert "5 of 5 pictures have a rationale, from template" in capsys.readouterr().err


def test_each_picture_has_a_row_whatever_the_teacher_does_and_rejections_are_counted_by_rule(make_set, capsys):
    toy = make_set()

    def answer(payload, n):
        level = told(payload).split("which is ")[1].split(".")[0]
        return {
            "bad": completion(QUALITY + " And so on."),
            "poor": Reply(503, "busy"),
            "fair": completion(QUALITY, "length"),
            "good": completion(QUALITY),
            "perfect": Reply(200, "<html>"),
        }[level]

    with serving(answer) as server:
        line = endpoint(server)
        assert rationales(toy, *line) == 2
        assert [row["status"] for row in rows(toy)] == ["rejected", "unavailable", "cut", "ok", "malformed"]
        assert rows(toy)[0]["error"] == "format: 3 sentences; needed are 2"
        assert [row["rationales"] for row in rows(toy)] == [[], [], [], [QUALITY], []]
        assert "  rejected 1: format 1\n" in capsys.readouterr().err
        n_asked = len(server.requests)
        assert n_asked == 3 + 2 + 1 + 1 + 1, "three drafts, two attempts, and the rest once"
        assert rationales(toy, *line) == 2, "nothing is asked again without being told to"
        assert len(server.requests) == n_asked
        assert server.requests[0]["top_p"] == 0.8
        assert server.requests[0]["temperature"] == 0.3
        assert server.requests[0]["max_tokens"] == 140
    with serving(lambda payload, n: completion(QUALITY)) as server:
        line[5] = server.base_url
        assert rationales(toy, *line, "--retry-failed") == 0
        assert len(server.requests) == 4


def test_a_judge_passes_or_rejects_and_its_reason_is_in_the_row(make_set, capsys):
    toy = make_set()

    def answer(payload, n):
        low = {"fidelity": 1, "reason": "there is no blur"} if "which is poor" in told(payload) else {}
        return completion(json.dumps(MARKS | low))

    with serving(answer) as server:
        assert rationales(toy, "--judge", "strict", "--judge-base-url", server.base_url) == 2
    assert [row["status"] for row in rows(toy)] == ["ok", "rejected", "ok", "ok", "ok"]
    assert rows(toy)[1]["error"] == "fidelity: the judge gives 1 of 5, needed is more than 2; there is no blur"
    assert {row["judge"] for row in rows(toy)} == {"endpoint:strict"}
    assert len(server.requests) == 4 + 3
    assert {request["temperature"] for request in server.requests} == {0}
    error = capsys.readouterr().err
    assert "from template, judged by endpoint:strict" in error
    assert "rejected 1: fidelity 1" in error


def test_aesthetics_goes_from_picture_to_notes_to_narrative(make_set, capsys):
    toy = make_set("aesthetics")

    def answer(payload, n):
        if payload["model"] == "sees":
            return completion("I'd rather not." if "picture fair" in told(payload) else NOTES)
        return completion(NARRATIVE)

    with serving(answer) as server:
        line = endpoint(server, "--notes-model", "sees")
        assert rationales(toy, *line) == 2
        of_notes = [request for request in server.requests if request["model"] == "sees"]
        of_text = [request for request in server.requests if request["model"] == "teacher"]
        assert all(request["messages"][0]["content"][0]["type"] == "image_url" for request in of_notes)
        assert all(request["messages"][0]["content"][0]["type"] == "text" for request in of_text)
        assert all(NOTES in told(request) for request in of_text)
        assert len(of_text) == 4
        n_asked = len(server.requests)
    assert [row["status"] for row in rows(toy)] == ["ok", "ok", "rejected", "ok", "ok"]
    assert rows(toy)[2]["error"].startswith("the notes: format: no note of at least 4 words on visual elements")
    assert [row["notes"] for row in rows(toy, "out.notes.jsonl")][:3] == [[NOTES], [NOTES], []]
    assert "out.notes.jsonl: 4 of 5 pictures have notes, from endpoint:sees" in capsys.readouterr().err
    with serving(lambda payload, n: completion(NOTES if payload["model"] == "sees" else NARRATIVE)) as server:
        line[5] = server.base_url
        assert rationales(toy, *line, "--retry-failed") == 0
        assert len(server.requests) == 2 < n_asked
        line = ["-o", str(toy.parent / "other.jsonl"), *line, "--notes", str(toy.parent / "out.notes.jsonl")]
        assert rationales(toy, *line) == 0, "another narrative from the same notes"
        assert [request["model"] for request in server.requests[2:]] == ["teacher"] * 5


def test_a_killed_run_is_finished_by_the_same_command(make_set):
    toy = make_set()
    out = toy.parent / "out.jsonl"
    killed = threading.Event()

    def answer(payload, n):
        if n >= 3:
            killed.wait(120)  # so it is killed in the middle, however late
        return completion(QUALITY)

    with serving(answer) as server:
        line = endpoint(server, "--concurrency", "1")
        command = [sys.executable, "-m", "beholder", "data", "rationales", str(toy), "-o", str(out), *line]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        while not out.exists() or out.read_bytes().count(b"\n") < 2:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed.set()
        kept = out.read_bytes()
        n_kept, n_asked = kept.count(b"\n"), len(server.requests)
        assert 2 <= n_kept < 5
        assert rationales(toy, *line) == 0
        assert len(server.requests) == n_asked + 5 - n_kept
    assert out.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert [row["image_id"] for row in rows(toy)] == [f"{i}.png" for i in range(5)]


def test_test_pictures_and_missing_ones_get_no_text(make_set):
    toy = make_set()
    (toy / "0.png").write_bytes((toy / "5.png").read_bytes())
    (toy / "1.png").write_bytes(b"not a picture")
    (toy / "2.png").unlink()
    assert rationales(toy) == 2
    assert [row["status"] for row in rows(toy)] == ["held_out", "unsupported", "unreadable", "ok", "ok"]
    assert rationales(toy, "--split", "test") == 1


def test_other_settings_into_the_same_file_are_refused(make_set, capsys):
    toy = make_set()
    assert rationales(toy) == 0
    with serving(lambda payload, n: completion(json.dumps(MARKS))) as server:
        assert rationales(toy, "--judge", "j", "--judge-base-url", server.base_url) == 1
    assert "was made with judge = None, now it is 'endpoint:j'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "x"], "--model says nothing to --backend template"),
        (["--timeout", "3"], "--timeout says nothing to --backend template"),
        (["--backend", "endpoint"], "--backend endpoint needs --model"),
        (["--judge", "x"], "OPENAI_BASE_URL"),
        (["--judge-base-url", "http://x/v1"], "they need --judge MODEL"),
        (["--notes-model", "x"], "--notes-model says nothing here"),
        (["--split", "all"], "allowed are train, val, test"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused(make_set, capsys, words, message):
    toy = make_set()
    assert rationales(toy, *words) == 1
    assert message in capsys.readouterr().err
    assert not (toy.parent / "out.jsonl").exists()


def test_a_score_outside_its_range_is_an_error_before_anyone_is_asked(make_set, capsys):
    toy = make_set()
    table = toy / "manifest.csv"
    table.write_text(table.read_text().replace("3.png,4", "3.png,40"))
    assert rationales(toy) == 1
    assert "40" in capsys.readouterr().err


def test_a_local_model_can_teach_and_its_own_notes_come_first(make_set):
    pytest.importorskip("transformers")
    from tiny_vlm import write_tiny_vlm

    toy = make_set("aesthetics", ("train",) * 2)
    model = write_tiny_vlm(toy.parent / "tiny-vlm")
    assert rationales(toy, "--backend", "local", "--model", str(model), "--max-tokens", "20") == 2
    assert {row["writer"] for row in rows(toy, "out.notes.jsonl")} == {"local:tiny-vlm"}
    assert all(row["error"].startswith("the notes: ") for row in rows(toy)), "it knows no words"
