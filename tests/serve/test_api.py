from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import httpx
import pytest
from conftest import png_header
from prometheus_client.parser import text_string_to_metric_families

import beholder

from .running import Running

SCORES = ("quality", "aesthetics")


def form(*paths: Path) -> list[tuple[str, tuple[str, bytes]]]:
    return [("pictures", (path.name, path.read_bytes())) for path in paths]


def test_scores_are_those_of_the_library_however_pictures_are_sent(
    client: httpx.Client, photos: list[Path], tiny: Path
) -> None:
    expected = beholder.load(tiny).score(photos)
    encoded = [{"name": path.name, "base64": base64.b64encode(path.read_bytes()).decode()} for path in photos]
    for response in (
        client.post("/v1/score", files=form(*photos)),
        client.post("/v1/score", json={"pictures": encoded}),
    ):
        assert response.status_code == 200, response.text
        answers = response.json()["pictures"]
        assert [answer["name"] for answer in answers] == [path.name for path in photos]
        for answer, score in zip(answers, expected, strict=True):
            assert [answer[task] for task in SCORES] == pytest.approx([score.quality, score.aesthetics], abs=1e-3)
            assert answer["quality_levels"] == pytest.approx(score.quality_levels, abs=1e-5)
            assert (answer["width"], answer["height"]) == (score.width, score.height)


def test_a_bad_picture_is_in_the_answer_with_a_reason_and_costs_the_others_nothing(
    client: httpx.Client, photos: list[Path]
) -> None:
    files = [
        ("pictures", ("half.jpg", photos[0].read_bytes()[:900])),
        ("pictures", ("../../etc/passwd", b"root:x:0:0")),
        ("pictures", ("bomb.png", png_header(60_000, 60_000))),
        *form(photos[1]),
    ]
    answers = client.post("/v1/score", files=files).json()["pictures"]
    assert [answer["status"] for answer in answers] == ["unreadable", "unsupported", "too_large", "ok"]
    assert all((answer["quality"] is None) == (answer["error"] is not None) for answer in answers)
    assert "allowed are 1,000,000" in answers[2]["error"]


def test_two_pictures_are_compared_both_ways(client: httpx.Client, photos: list[Path]) -> None:
    there = client.post("/v1/compare", files=form(*photos[:2])).json()
    back = client.post("/v1/compare", files=form(photos[1], photos[0])).json()
    for task in SCORES:
        difference = there["first"][task] - there["second"][task]
        assert difference != 0
        assert there["preferences"][task]["difference"] == pytest.approx(difference)
        assert back["preferences"][task]["difference"] == pytest.approx(-difference)
        probabilities = [answer["preferences"][task]["probability"] for answer in (there, back)]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert (probabilities[0] > 0.5) == (difference > 0)
    assert client.post("/v1/compare", files=form(photos[0])).status_code == 422


def test_the_card_of_the_model_is_served(client: httpx.Client, tiny: Path) -> None:
    [card] = client.get("/v1/models").json()["models"]
    assert card == json.loads((tiny / "card.json").read_text())


def test_health_is_told(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "model": "tiny", "waiting": 0}


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [s for family in families for s in family.samples if s.name == name and s.labels == labels]
    return samples[0].value if samples else 0.0


def test_metrics_count_pictures_requests_and_batches(client: httpx.Client, photos: list[Path]) -> None:
    def now() -> list[float]:
        return [
            metric(client, "beholder_pictures_total", status="ok"),
            metric(client, "beholder_pictures_total", status="unsupported"),
            metric(client, "beholder_requests_total", route="/v1/score", method="POST", code="200"),
            metric(client, "beholder_batch_pictures_sum"),
        ]

    before = now()
    client.post("/v1/score", files=[*form(*photos[:3]), ("pictures", ("a.txt", b"no picture"))])
    assert [after - then for after, then in zip(now(), before, strict=True)] == [3, 1, 1, 4]
    client.get("/made-up-by-a-scanner")
    assert metric(client, "beholder_requests_total", route="other", method="GET", code="404") >= 1
    assert metric(client, "beholder_queue_limit") == 8


def test_made_up_methods_and_paths_do_not_become_counters(client: httpx.Client) -> None:
    for made_up in ("FROB", "N1CE"):
        assert client.request(made_up, f"/{made_up}").status_code in (404, 405)
        assert client.request(made_up, "/v1/score").status_code == 405
    text = client.get("/metrics").text
    assert 'method="other"' in text
    assert "FROB" not in text
    assert "N1CE" not in text


def test_a_request_that_is_too_large_is_refused_announced_or_not(client: httpx.Client) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="pictures"; filename="a.jpg"\r\n\r\n'
    body = head + bytes(600_000) + b"\r\n--x--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=x"}
    announced = client.post("/v1/score", content=body, headers=headers)
    pieces = (body[i : i + 50_000] for i in range(0, len(body), 50_000))
    as_it_comes = client.post("/v1/score", content=pieces, headers=headers)
    for response in (announced, as_it_comes):
        assert response.status_code == 413
        assert "larger than 0.5 MB" in response.json()["detail"]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ({"content": b"hello"}, 415, "multipart/form-data or application/json"),
        ({"files": [("photo", ("a.jpg", b"x"))]}, 422, "in the field 'pictures'"),
        ({"files": [("pictures", (f"{i}.jpg", b"x")) for i in range(5)]}, 422, "Too many files"),
        ({"json": {"pictures": [{"base64": "eA=="}] * 5}}, 413, "send 1 to 4"),
        ({"json": {"pictures": []}}, 422, "send 1 to 4"),
        ({"json": {"pictures": [{"base64": "%%%"}]}}, 422, "pictures.0.base64"),
        ({"json": {"pictures": [{"base64": "eA==", "path": "/etc/passwd"}]}}, 422, "pictures.0.path"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 422, "Invalid JSON"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 422, "boundary"),
    ],
)
def test_what_is_no_request_is_refused_with_what_to_send(
    arguments: dict[str, object], code: int, reason: str, client: httpx.Client
) -> None:
    response = client.post("/v1/score", **arguments)  # type: ignore[arg-type]
    assert response.status_code == code, response.text
    assert reason in response.json()["detail"]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/a.jpg", "http://127.0.0.1:1@10.0.0.1/a.jpg", "file:///etc/passwd", "http://[::1]:1/", "ftp://x"],
)
def test_addresses_of_other_hosts_are_not_fetched(url: str, client: httpx.Client) -> None:
    response = client.post("/v1/score", json={"urls": [url]})
    assert (response.status_code, "not fetched" in response.text) == (403, True)


def test_an_address_that_does_not_answer_is_a_row_with_a_reason(client: httpx.Client, photos: list[Path]) -> None:
    encoded = base64.b64encode(photos[0].read_bytes()).decode()
    body = {"pictures": [{"base64": encoded}], "urls": ["http://127.0.0.1:1/a.jpg"]}
    first, second = client.post("/v1/score", json=body).json()["pictures"]
    assert (first["status"], second["status"]) == ("ok", "unreadable")
    assert "could not be fetched" in second["error"]


def test_openapi_describes_the_routes_and_what_they_take(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    assert {"/v1/score", "/v1/compare", "/v1/models", "/healthz"} == set(described["paths"])
    post = described["paths"]["/v1/score"]["post"]
    assert set(post["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
    assert {"200", "401", "413", "429"} <= set(post["responses"])


def test_uploads_are_gone_once_they_are_answered_and_logs_hold_no_names(
    client: httpx.Client, server: Running, photos: list[Path]
) -> None:
    response = client.post("/v1/score", files=form(*photos))
    assert list(server.folder.glob("beholder-serve-*/*")) == []
    give_up_s = time.monotonic() + 60
    while not (found := [e for e in server.events("request") if e["request"] == response.headers["x-request-id"]]):
        assert time.monotonic() < give_up_s, "the request was never logged"  # its line is read a moment later
        time.sleep(0.05)
    [entry] = found
    assert (entry["route"], entry["code"], entry["pictures"]) == ("/v1/score", 200, 4)
    assert not any("photo" in json.dumps(line) for line in server.log)
    assert not any(line["event"] == "text" for line in server.log)  # every line is JSON
