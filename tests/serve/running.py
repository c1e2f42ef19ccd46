"""A server as people start it: the command in a process of its own, on a free port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_S = 120.0
"""A start takes a second or two; a machine that is busy with other tests may need far longer."""


@dataclass
class Running:
    """A server that listens."""

    url: str
    process: subprocess.Popen[str]
    folder: Path
    """Where it keeps uploads."""
    log: list[dict[str, Any]] = field(default_factory=list)
    """Its lines, as they come."""

    def events(self, name: str) -> list[dict[str, Any]]:
        return [entry for entry in self.log if entry["event"] == name]


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Running]:
    """Start `beholder serve` with these arguments, wait until it listens, and kill it in the end if it still runs."""
    command = [sys.executable, "-m", "beholder", "serve", "--port", "0", *arguments]
    environment = os.environ | {"TMPDIR": str(folder)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        server = Running("", process, folder)
        listening = threading.Event()

        def read() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                server.log.append(json.loads(line) if line.startswith("{") else {"event": "text", "text": line})
                if server.log[-1]["event"] == "listening":
                    listening.set()
            listening.set()

        reader = threading.Thread(target=read)
        reader.start()
        try:
            assert listening.wait(START_S), server.log
            assert server.events("listening"), server.log
            server.url = server.events("listening")[0]["url"]
            yield server
        finally:
            process.kill()
            process.wait()
            reader.join()
