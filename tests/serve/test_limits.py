"""A server under pressure: a key, a queue of one, a body that never comes, and the end."""

from __future__ import annotations

import http.client
import http.server
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from .running import Running, running

KEY = "0123456789abcdef-of-the-test"


@pytest.fixture(scope="module")
def files(photos: list[Path]) -> Iterator[str]:
    """A file server on loopback, as `127.0.0.1:PORT`; `/there` redirects to a photo."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(photos[0].parent))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            if self.path == "/there":
                self.send_response(302)
                self.send_header("Location", f"/{photos[0].name}")
                self.end_headers()
            else:
                super().do_GET()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as started:
        threading.Thread(target=started.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{started.server_address[1]}"
        started.shutdown()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, tiny: Path, files: str) -> Iterator[Running]:
    """One worker, room for one picture, a key, five seconds for a request to arrive. The last test ends it."""
    folder = tmp_path_factory.mktemp("strict")
    (folder / "key").write_text(KEY + "\n")
    with running(
        folder, "--model", str(tiny), "--workers", "1", "--max-batch", "1", "--queue", "1", "--max-pictures", "1",
        "--api-key-file", str(folder / "key"), "--url-host", files, "--request-timeout", "60", "--timeout", "60",
    ) as started:  # fmt: skip
        yield started


@pytest.fixture
def client(strict: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=strict.url, timeout=120, headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield client


@pytest.mark.parametrize("route", ["/v1/score", "/v1/compare", "/v1/models"])
def test_without_the_key_there_are_no_scores(route: str, strict: Running) -> None:
    method = "GET" if route == "/v1/models" else "POST"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}):
        response = httpx.request(method, strict.url + route, headers=headers)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert httpx.get(strict.url + "/healthz").status_code == 200


def test_pictures_of_an_allowed_host_are_fetched_and_redirects_are_not_followed(
    client: httpx.Client, files: str, photos: list[Path]
) -> None:
    def answer(path: str) -> dict[str, object]:
        response = client.post("/v1/score", json={"urls": [f"http://{files}/{path}"]})
        answers: list[dict[str, object]] = response.json()["pictures"]
        return answers[0]

    assert answer(photos[0].name)["status"] == "ok"
    assert answer("missing.jpg")["error"] == "the address answered 404"
    assert answer("there")["error"] == "the address answered 302"


def test_a_full_queue_answers_429_with_the_time_to_come_back(client: httpx.Client, slow_picture: bytes) -> None:
    def send(_: int) -> httpx.Response:
        return client.post("/v1/score", files={"pictures": ("slow.png", slow_picture)})

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(send, range(8)))
    codes = [response.status_code for response in responses]
    assert set(codes) == {200, 429}
    refused = [response for response in responses if response.status_code == 429]
    assert all(1 <= int(response.headers["retry-after"]) <= 60 for response in refused)
    assert "try again in" in refused[0].json()["detail"]
    assert send(0).status_code == 200  # and then there is room again


def test_a_request_under_way_is_answered_after_sigterm_and_nothing_is_left_behind(
    strict: Running, client: httpx.Client, slow_picture: bytes
) -> None:
    workers = psutil.Process(strict.process.pid).children(recursive=True)
    with ThreadPoolExecutor(1) as pool:
        before = len(strict.events("request"))
        answer = pool.submit(client.post, "/v1/score", files={"pictures": ("slow.png", slow_picture)})
        deadline = time.monotonic() + 60
        while not list(strict.folder.glob("beholder-serve-*/*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(strict.events("request")) == before  # it is here, and not answered yet
        strict.process.send_signal(signal.SIGTERM)
        assert answer.result().status_code == 200
    assert strict.process.wait(60) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(strict.url + "/healthz")
    assert list(strict.folder.glob("beholder-serve-*")) == []
    assert [worker for worker in workers if worker.is_running() and worker.status() != "zombie"] == []
    assert strict.events("drained")


def test_an_answer_that_does_not_come_in_time_is_504_and_the_server_goes_on(
    tmp_path: Path, tiny: Path, photos: list[Path]
) -> None:
    with (
        running(tmp_path, "--model", str(tiny), "--workers", "1", "--request-timeout", "1.5") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        picture = {"pictures": ("a.jpg", photos[0].read_bytes())}
        workers = psutil.Process(server.process.pid).children(recursive=True)
        for worker in workers:
            worker.suspend()
        late = client.post("/v1/score", files=picture)
        assert (late.status_code, late.json()["detail"]) == (504, "no answer within 1.5 s")
        for worker in workers:
            worker.resume()
        deadline = time.monotonic() + 60
        codes: list[int] = []
        while 200 not in codes and time.monotonic() < deadline:
            codes.append(client.post("/v1/score", files=picture).status_code)
        assert codes[-1] == 200


def test_a_body_that_does_not_come_and_a_head_that_does_not_end_are_cut_off(tmp_path: Path, tiny: Path) -> None:
    with running(tmp_path, "--model", str(tiny), "--workers", "1", "--request-timeout", "1") as server:
        address = urlsplit(server.url)
        head = b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        with (
            socket.create_connection((address.hostname, address.port)) as body,
            socket.create_connection((address.hostname, address.port)) as loris,
        ):
            body.settimeout(60)
            loris.settimeout(60)
            body.sendall(head)
            assert b" 408 " in body.recv(4096).splitlines()[0]
            loris.sendall(b"GET / HTTP/1.1\r\nHost:")
            assert loris.recv(4096) == b""  # closed without an answer
        assert httpx.get(server.url + "/healthz").status_code == 200


def test_a_connection_that_was_answered_is_kept_but_not_for_a_head_that_does_not_end(
    tmp_path: Path, tiny: Path
) -> None:
    with running(tmp_path, "--model", str(tiny), "--workers", "1", "--request-timeout", "0.5") as server:
        address = urlsplit(server.url)
        with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)) as kept:
            for pause_s in (0, 2):  # the second time after four looks at what is idle
                time.sleep(pause_s)
                kept.request("GET", "/healthz")
                assert kept.getresponse().read()
            kept.sock.sendall(b"GET / HTTP/1.1\r\nHost:")
            assert kept.sock.recv(4096) == b""
