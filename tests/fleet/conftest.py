from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import render
from tiny_model import write_tiny_checkpoint


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny model with both heads."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny", seed=1)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 1,750 names for twelve photos, and one broken link: four shards."""
    photos = tmp_path_factory.mktemp("photos")
    for i in range(12):
        render(i, [(96, 64), (64, 96), (150, 140)][i % 3]).save(photos / f"{i:02d}.jpg")
    folder = tmp_path_factory.mktemp("crowd")
    for i in range(1750):
        (folder / f"{i:05d}.jpg").symlink_to(photos / f"{i % 12:02d}.jpg" if i != 700 else "nowhere.jpg")
    return folder


def free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Ray cluster of two CPUs on this machine, to which this process is connected.

    Starting one takes many seconds, so there is one. A raylet gives up where its agents take over 15 s to start, which
    happens on a busy machine, so nothing is started that is not needed, and it is tried more than once.
    """
    ray = pytest.importorskip("ray", reason="needs beholder[scale]")
    log = tmp_path_factory.mktemp("ray") / "log.txt"
    head = found = None
    try:
        for _ in range(3):
            head = start_head(log)
            while head.poll() is None and found is None:
                time.sleep(0.2)
                found = re.search(r"ray start --address='(\S+)'", log.read_text())
            if found is not None:
                break
        assert found is not None, log.read_text()
        address = found[1]
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        yield address
    finally:
        ray.shutdown()
        if head is not None:
            head.terminate()
            head.wait()


def start_head(log: Path) -> subprocess.Popen[bytes]:
    """A process that starts a cluster and ends it when it is told to end; `log` will hold the address."""
    port, *ports = free_ports(5)
    names = (
        "dashboard-agent-grpc-port",
        "dashboard-agent-listen-port",
        "runtime-env-agent-port",
        "metrics-export-port",
    )
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"]
    command += ["--no-monitor", "--include-log-monitor=false", "--include-dashboard=false", "--num-cpus=2"]
    command += [f"--port={port}", "--object-store-memory=100000000"]
    command += [f"--{name}={n}" for name, n in zip(names, ports, strict=True)]
    with log.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=file)
