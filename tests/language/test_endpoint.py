import base64
import io
import json
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from chat_server import Reply, completion, serving
from PIL import Image

pytest.importorskip("httpx")

from beholder.errors import UserError
from beholder.language.ask import HopelessError, Question, Sampling
from beholder.language.endpoint import Endpoint, Patience, retry_after_s

QUICK = Patience(timeout_s=5, attempts=3, first_pause_s=0.01, longest_pause_s=0.05)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def ask(answer, question=None, **options):
    """The answer, and what the server saw."""
    with serving(answer) as server:
        endpoint = Endpoint("toy", server.base_url, **{"patience": QUICK} | options)
        (found,) = endpoint.ask([question or Question("q", "What?")])
        return found, server


def test_the_text_of_the_first_choice_is_the_answer():
    found, server = ask(lambda payload, n: completion("  A good image.\n"))
    assert (found.id, found.texts, found.status, found.error) == ("q", ("A good image.",), "ok", None)
    assert server.paths == ["/v1/chat/completions"]
    assert "authorization" not in server.headers[0]


def test_the_request_holds_the_prompt_the_sampling_and_a_small_picture(tmp_path, render_picture):
    render_picture(0, (1600, 1200)).save(tmp_path / "large.png")
    question = Question("q", "What is it like?", tmp_path / "large.png", n_texts=2, seed=7)
    found, server = ask(lambda payload, n: completion(f"text {n}"), question, sampling=Sampling(0.5, 33))
    assert found.texts == ("text 0", "text 1")
    first, second = server.requests
    assert (first["model"], first["temperature"], first["max_tokens"]) == ("toy", 0.5, 33)
    assert (first["seed"], second["seed"]) == (7, 8)
    picture, text = first["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is it like?"}
    head, data = picture["image_url"]["url"].split(",")
    assert head == "data:image/jpeg;base64"
    width, height = Image.open(io.BytesIO(base64.b64decode(data))).size
    assert width * height <= 512 * 512
    assert width / height == pytest.approx(4 / 3, rel=0.01)


def test_the_key_goes_into_the_header(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    _, server = ask(lambda payload, n: completion("yes"))
    assert server.headers[0]["authorization"] == "Bearer a-key"


@pytest.mark.parametrize("status", [500, 503, 429])
def test_what_may_pass_is_tried_again(status):
    found, server = ask(lambda payload, n: Reply(status) if n < 2 else completion("at last"))
    assert found.texts == ("at last",)
    assert len(server.requests) == 3


def test_a_pause_is_at_least_as_long_as_the_server_asks_for():
    found, server = ask(
        lambda payload, n: Reply(429, headers={"Retry-After": "1"}) if n == 0 else completion("thank you")
    )
    assert found.texts == ("thank you",)
    assert server.times[1] - server.times[0] >= 1.0


def test_after_the_last_attempt_the_row_fails_and_says_why():
    found, server = ask(lambda payload, n: Reply(500, "out of memory"))
    assert (found.texts, found.status) == ((), "unavailable")
    assert "500: out of memory" in found.error
    assert len(server.requests) == QUICK.attempts


def test_a_server_that_wants_an_hour_is_not_waited_for():
    start = time.monotonic()
    found, server = ask(lambda payload, n: Reply(429, headers={"Retry-After": "3600"}))
    assert found.status == "unavailable"
    assert "pause of 3600 s" in found.error
    assert len(server.requests) == 1
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_a_refusal_is_final_for_its_question(status):
    found, server = ask(lambda payload, n: Reply(status, json.dumps({"error": "no pictures, please"})))
    assert found.status == "refused"
    assert f"{status}" in found.error
    assert "no pictures, please" in found.error
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "advice"), [(401, "OPENAI_API_KEY"), (404, "--model")])
def test_what_no_picture_can_change_ends_the_run(status, advice):
    with pytest.raises(HopelessError, match=advice):
        ask(lambda payload, n: Reply(status))


def test_a_redirect_does_not_get_the_key_nor_the_picture(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    with serving(lambda payload, n: completion("stolen")) as other:
        found, _ = ask(lambda payload, n: Reply(307, headers={"Location": f"{other.base_url}/chat/completions"}))
        assert found.status == "refused"
        assert other.requests == []


def test_silence_is_a_timeout():
    patience = Patience(timeout_s=0.2, attempts=2, first_pause_s=0.01)
    found, server = ask(lambda payload, n: Reply(delay_s=1.0), patience=patience)
    assert found.status == "timeout"
    assert "0.2 s" in found.error
    assert len(server.requests) == 2


def test_a_closed_connection_is_tried_again():
    found, server = ask(lambda payload, n: Reply(hang_up=True) if n == 0 else completion("sorry"))
    assert found.texts == ("sorry",)
    assert len(server.requests) == 2


def test_nobody_listening_is_unavailable():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        (found,) = Endpoint("toy", f"http://127.0.0.1:{port}/v1", patience=QUICK).ask([Question("q", "Hello?")])
    assert found.status == "unavailable"


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(body="<html>It works!</html>"), "malformed"),
        (Reply(body="[]"), "malformed"),
        (Reply(body='{"choices": []}'), "malformed"),
        (Reply(body='{"choices": [{"message": null}]}'), "malformed"),
        (Reply(body='{"choices": ["hello"]}'), "malformed"),
        (completion(["a", "list"]), "malformed"),
        (completion(""), "empty"),
        (completion(" \n"), "empty"),
        (completion(None), "empty"),
        (completion("The picture is very", "length"), "cut"),
        (completion("Sorry", "content_filter"), "refused"),
    ],
)
def test_junk_never_becomes_a_text(reply, status):
    found, server = ask(lambda payload, n: reply)
    assert (found.texts, found.status) == ((), status)
    assert found.error
    assert len(server.requests) == 1


def test_all_texts_of_a_question_or_none():
    found, _ = ask(lambda payload, n: completion("one" if n == 0 else ""), Question("q", "What?", n_texts=2))
    assert (found.texts, found.status) == ((), "empty")


def test_an_unreadable_picture_is_not_sent(tmp_path):
    found, server = ask(lambda payload, n: completion("lovely"), Question("q", "?", tmp_path / "gone.jpg"))
    assert (found.texts, found.status) == ((), "unreadable")
    assert server.requests == []


def test_a_stopped_endpoint_does_not_wait_for_another_try():
    with serving(lambda payload, n: Reply(503, headers={"Retry-After": "60"})) as server:
        endpoint = Endpoint("toy", server.base_url)
        endpoint.stop()
        start = time.monotonic()
        (found,) = endpoint.ask([Question("q", "?")])
        assert found.status == "unavailable"
        assert time.monotonic() - start < 30


def test_the_address_comes_from_the_environment(monkeypatch):
    with serving(lambda payload, n: completion("here")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url + "/")
        assert Endpoint("toy").ask([Question("q", "?")])[0].texts == ("here",)


@pytest.mark.parametrize(("address", "words"), [(None, "--base-url or set OPENAI_BASE_URL"), ("localhost", "http://")])
def test_an_address_that_can_not_be_is_refused(address, words):
    with pytest.raises(UserError, match=words):
        Endpoint("toy", address)


def test_a_date_in_retry_after_is_understood():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < retry_after_s(soon) <= 30
    assert retry_after_s(format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)) == 0.0
    assert retry_after_s("-3") == retry_after_s("") == 0.0
