import json
from dataclasses import replace

import pytest
from chat_server import Reply, completion, serving

from beholder.language.ask import Question
from beholder.language.run import Job, Shape, run
from beholder.language.template import Template
from beholder.tatar.judge import Filtered, refusal, rejections
from beholder.tatar.template import write_rationale

pytest.importorskip("httpx")
from beholder.language.endpoint import Endpoint, Patience

GOOD = (
    "This is a good picture, because fine detail is crisp and the exposure is even across the frame. "
    "A trace of noise in the shadows is the one thing that keeps it from being flawless."
)
PATIENCE = Patience(timeout_s=2, attempts=2, first_pause_s=0.01, longest_pause_s=0.02)


@pytest.fixture
def question(tmp_path, render_picture):
    render_picture(0, (64, 48)).save(tmp_path / "a.png")
    known = {"task": "quality", "level": "good", "told": "People gave it 72 on a scale from 0 to 100."}
    return Question("a.png", "Explain it.", tmp_path / "a.png", known=known)


def marks(fidelity=5, consistency=5):
    return json.dumps({"fidelity": fidelity, "rigour": 1, "consistency": consistency, "reason": "so it is"})


def asked(answer, question, model="judge", teacher=None):
    with serving(answer) as server:
        endpoint = Endpoint(model, server.base_url, patience=PATIENCE)
        filtered = Filtered(teacher, endpoint) if teacher else Filtered(endpoint)
        return filtered.ask([question])[0], server


def test_a_draft_that_breaks_a_rule_is_asked_for_again_with_another_seed(question):
    answer, server = asked(lambda _, n: completion("Nice, 7 of 10." if n < 2 else GOOD), question)
    assert answer.texts == (GOOD,)
    assert [request["seed"] for request in server.requests] == [0, 1, 2]


def test_after_three_drafts_the_reason_of_each_stays_and_no_text(question):
    drafts = ["Nice, 7 of 10.", "# Nice", "Nice, 7 of 10."]
    answer, server = asked(lambda _, n: completion(drafts[n]), question)
    assert (answer.status, answer.texts) == ("rejected", ())
    assert answer.error == "numbers: the text says '7' | format: the text holds '#'"
    assert len(server.requests) == 3


def test_what_a_teacher_thinks_aloud_is_no_part_of_its_text(question):
    answer, _ = asked(lambda _, n: completion(f"<think>7 of 10, so good.</think>\n{GOOD}"), question)
    assert answer.texts == (GOOD,)


def test_a_judge_sees_the_picture_that_the_teacher_is_not_shown(question):
    of_text = replace(question, picture=None, known={**question.known, "picture": question.picture})
    with serving(lambda _, n: completion(GOOD if n == 0 else marks())) as server:
        endpoint = Endpoint("both", server.base_url, patience=PATIENCE)
        assert Filtered(endpoint, endpoint).ask([of_text])[0].texts == (GOOD,)
    kinds = [[part["type"] for part in request["messages"][0]["content"]] for request in server.requests]
    assert kinds == [["text"], ["image_url", "text"]]


def test_rejections_are_counted_by_rule():
    rows = [
        {"status": "rejected", "error": "numbers: the text says '7' | length: 9 words; allowed are 30 to 50"},
        {"status": "rejected", "error": "length: 60 words; allowed are 30 to 50"},
        {"status": "cut", "error": "x: y"},
    ]
    assert rejections(rows) == {"length": 2}


def test_a_teacher_that_fails_is_a_row_of_its_own_kind_and_not_judged_again(question):
    answer, server = asked(lambda _, n: Reply(500, "down"), question)
    assert answer.status == "unavailable"
    assert len(server.requests) == PATIENCE.attempts
    assert asked(lambda _, n: completion(GOOD, "length"), question)[0].status == "cut"


def test_the_judge_sees_picture_score_and_text_and_what_it_passes_is_kept(question):
    teacher = Template(write_rationale)
    answer, server = asked(lambda _, n: completion(f"```json\n{marks()}\n```"), question, teacher=teacher)
    assert answer.status == "ok"
    picture, prompt = server.requests[0]["messages"][0]["content"]
    assert picture["type"] == "image_url"
    assert "72 on a scale from 0 to 100" in prompt["text"]
    assert answer.texts[0] in prompt["text"]


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        (
            completion(marks(fidelity=2)),
            "rejected",
            "fidelity: the judge gives 2 of 5, needed is more than 2; so it is",
        ),
        (completion(marks(consistency=0)), "rejected", "consistency: the judge gives 0 of 5"),
        (completion("It is fine."), "malformed", "not JSON of fidelity, rigour, consistency"),
        (completion(marks(fidelity=9)), "malformed", "fidelity with 9"),
        (Reply(503, "busy"), "unavailable", "the judge: "),
        (Reply(200, "<html>"), "malformed", "the judge: not a chat completion"),
        (Reply(hang_up=True), "unavailable", "no connection"),
    ],
)
def test_what_the_judge_does_not_pass_is_a_row_with_its_reason(question, reply, status, error):
    answer, _ = asked(lambda _, n: reply, question, teacher=Template(write_rationale))
    assert (answer.status, answer.texts) == (status, ())
    assert error in answer.error


def test_a_run_keeps_rejections_and_asks_them_again_on_demand(question, tmp_path):
    out, shape = tmp_path / "out.jsonl", Shape("id", "rationales")

    def go(answer, **more):
        with serving(answer) as server:
            filtered = Filtered(Template(write_rationale), Endpoint("judge", server.base_url, patience=PATIENCE))
            run([Job(question, {"level": "good"})], filtered, out, shape, settings={}, **more)
        return json.loads(out.read_text())

    first = go(lambda _, n: completion(marks(fidelity=1)))
    assert (first["status"], first["rationales"]) == ("rejected", [])
    assert go(lambda _, n: completion(marks()))["status"] == "rejected"
    assert go(lambda _, n: completion(marks()), retry_failed=True)["status"] == "ok"


def test_a_mark_that_does_not_decide_never_rejects():
    assert refusal(marks(), "quality") is None
    assert refusal('{"coverage": 0, "groundedness": 3, "cohesion": 3, "smoothness": 0}', "aesthetics") is None
