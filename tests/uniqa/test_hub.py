import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import HfApi

from beholder.errors import UserError
from beholder.uniqa import hub
from beholder.uniqa.model import Uniqa


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a hub that is not there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setattr(hub, "HfApi", lambda: HfApi(endpoint=address))
    return address


class Refusing(BaseHTTPRequestHandler):
    """A hub that knows no model."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def test_a_name_without_a_network_is_refused_at_once_with_what_to_do(nobody: str) -> None:
    begin = time.monotonic()
    with pytest.raises(UserError, match=r"hub can't be reached.*hf download nobody/no-such-clip") as caught:
        Uniqa.from_encoder("nobody/no-such-clip")
    assert time.monotonic() - begin < 10
    assert "\n" not in str(caught.value)


def test_a_folder_asks_nothing_and_a_hub_that_answers_is_reachable(
    nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub.why_unreachable(tmp_path) is None
    assert hub.why_unreachable("nobody/no-such-clip") is not None
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(hub, "HfApi", lambda: HfApi(endpoint=f"http://127.0.0.1:{server.server_port}"))
        assert hub.why_unreachable("nobody/no-such-clip") is None
        server.shutdown()
