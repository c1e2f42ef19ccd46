"""`beholder serve` as people start it, in a process of its own on a free port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from record import CommandError, beholder_command

START_S = 120.0


@dataclass
class Server:
    """A server that listens."""

    url: str
    process: subprocess.Popen[str]
    folder: Path
    """Its working folder, home and folder for temporary files."""
    log: list[dict[str, Any]] = field(default_factory=list)
    """Its lines, as they come; one that is no JSON is `{"event": "text"}`."""

    @property
    def uploads(self) -> list[Path]:
        """What lies in its folder for uploads."""
        return [path for path in self.folder.glob("beholder-serve-*/*") if path.is_file()]

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[Server]:
    """Start a server that lives in `folder`, wait until it listens, and kill it in the end if it still runs.

    Raises CommandError where it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    line = beholder_command("serve", "--port", "0", *arguments)
    environment = os.environ | {"TMPDIR": str(folder), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder) as process:
        server = Server("", process, folder)
        listening = threading.Event()

        def read() -> None:
            assert process.stderr is not None
            for text in process.stderr:
                entry = json.loads(text) if text.startswith("{") else {"event": "text", "text": text}
                server.log.append(entry)
                if entry["event"] == "listening":
                    server.url = entry["url"]
                    listening.set()
            listening.set()

        reader = threading.Thread(target=read)
        reader.start()
        try:
            if not listening.wait(START_S) or not server.url:
                raise CommandError(f"the server did not start: {server.log}")
            yield server
        finally:
            process.kill()
            process.wait()
            reader.join()
