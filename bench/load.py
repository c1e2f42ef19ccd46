"""`beholder serve` with 200 clients at once on loopback: answers per second, waits, refusals, errors, memory.

    python bench/load.py [--quick] [--clients 200] [--seconds 60] [--model NAME_OR_FOLDER]

Each client sends one picture and waits for its answer, over and over, on a connection that it keeps; after a 429 it
waits as long as `Retry-After` says. Clients and server share the machine, so these are no rates of a server that has
one to itself; what the clients took of it is told, since a crowd that is busy with itself would measure itself. The
first time the queue has room for all clients, the second time it is as it is by default. Then the hostile ones: heads
and bodies that never end, bodies that are too large, as announced and as they come, with a few honest clients among
them. About three minutes; run it on an idle machine. `--quick` is for a first look: 40 clients for 5 seconds, its
result stored apart, in `quick/`. Linux only, since memory is read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import numpy as np
from memory import process_tree, rss_bytes
from pictures import mixed
from record import QUICK, RESULTS, Table, at_least, at_most, busy_share, model_facts, publish, script
from served import Server, served

from beholder.scoring.table import DEFAULT

WORKERS = 2
PICTURES = 24
REQUEST_S = 10.0
"""In the hostile part: `--request-timeout`."""
REQUEST_MB = 2.0
"""In the hostile part: `--max-mb`, so little that any machine is sent more long before the time is up."""
CUT_OFF_S = 30.0
"""Until an idler is cut off, at most: twice the server's ten seconds, and some."""
HONEST_S = 15.0
"""In the hostile part: how long honest clients go on asking."""
GROWTH = 1.1
"""Memory at the end, as a multiple of that after a third of the time."""


@dataclass
class Load:
    """What a crowd of clients saw."""

    clients: int
    seconds: float = 0.0
    cpu_s: float = 0.0
    """Of the clients' process."""
    waits_s: list[float] = field(default_factory=list)
    """Of answers with code 200."""
    codes: Counter[str] = field(default_factory=Counter)
    """Answers by code, and failures by name."""
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the start, and MB of the server and its workers (RSS)."""

    @property
    def n(self) -> int:
        """Requests that ended one way or the other."""
        return self.codes.total()

    def wait_ms(self, share: float) -> float:
        """The wait that this share of the answers stayed below, in milliseconds."""
        return float(np.quantile(self.waits_s, share)) * 1000 if self.waits_s else float("nan")

    @property
    def refused(self) -> float:
        """Share of requests that were told to come back later."""
        return self.codes["429"] / max(1, self.n)

    @property
    def failed(self) -> float:
        """Share of requests that got neither scores nor that."""
        return 1 - (self.codes["200"] + self.codes["429"]) / max(1, self.n)

    @property
    def late_memory(self) -> list[tuple[float, float]]:
        """After the first third of the time, when every worker has seen every size."""
        return [(at_s, mb) for at_s, mb in self.memory if at_s > self.seconds / 3]

    @property
    def growth(self) -> float:
        """Memory in the last tenth of the time, as a multiple of that just after the first third."""
        late = [mb for _, mb in self.late_memory]
        few = max(1, len(late) // 7)
        return float(np.mean(late[-few:]) / np.mean(late[:few])) if late else float("nan")

    @property
    def slope_mb(self) -> float:
        """MB per minute, a line through the memory after the first third."""
        if len(self.late_memory) < 2:
            return float("nan")
        at_s, mb = zip(*self.late_memory, strict=True)
        return float(np.polyfit(at_s, mb, 1)[0] * 60)


async def crowd(server: Server, pictures: Sequence[bytes], *, clients: int, seconds: float) -> Load:
    """`clients` at once for `seconds`; requests under way then are waited for."""
    load = Load(clients)
    start, start_cpu_s = time.monotonic(), time.process_time()
    patience = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(limit=0), timeout=patience) as http:

        async def client(number: int) -> None:
            sent = number
            while time.monotonic() - start < seconds:
                form = aiohttp.FormData()
                form.add_field("pictures", pictures[sent % len(pictures)], filename="a.jpg")
                sent += 1
                asked = time.monotonic()
                try:
                    async with http.post("/v1/score", data=form) as answer:
                        code, told = answer.status, await answer.json()
                except (aiohttp.ClientError, TimeoutError) as error:
                    load.codes[type(error).__name__] += 1
                    continue
                if code == 200 and told["pictures"][0]["status"] != "ok":
                    load.codes["200 without a score"] += 1
                    continue
                load.codes[str(code)] += 1
                if code == 200:
                    load.waits_s.append(time.monotonic() - asked)
                elif code == 429:
                    left_s = start + seconds - time.monotonic()
                    await asyncio.sleep(min(max(0.0, left_s), float(answer.headers["retry-after"])))

        async def watch() -> None:
            while True:
                await asyncio.sleep(min(1.0, seconds / 30))
                mb = sum(rss_bytes(pid) for pid in process_tree(server.process.pid)) / 1e6
                load.memory.append((time.monotonic() - start, mb))

        watcher = asyncio.create_task(watch())
        await asyncio.gather(*(client(i) for i in range(clients)))
        watcher.cancel()
    load.seconds = time.monotonic() - start
    load.cpu_s = time.process_time() - start_cpu_s
    return load


@dataclass
class Siege:
    """What became of hostile connections, and of honest clients among them."""

    cut_off_s: dict[str, list[float]] = field(default_factory=dict)
    """Seconds until the server ended each connection, by kind; infinity where it never did."""
    first_lines: dict[str, Counter[str]] = field(default_factory=dict)
    """What it answered, by kind."""
    honest: Load = field(default_factory=lambda: Load(0))


POST = b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

HOSTILE = {
    "head that never ends": (b"GET / HTTP/1.1\r\nX: ", b"a"),
    "connection without a word": (b"", b""),
    "body that never ends": (POST + b"Content-Length: 1000\r\n\r\n", b"a"),
    "body announced too large": (POST + b"Content-Length: 99999999999\r\n\r\n", b""),
    "body too large as it comes": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"a" * 65536 + b"\r\n"),
}
"""What is sent at once, and then again and again: slowly, except where it is much."""

ANSWERED = {"body that never ends": "408", "body announced too large": "413", "body too large as it comes": "413"}
"""The code that each must get; the others are closed without one."""


async def besiege(server: Server, pictures: Sequence[bytes], *, each: int, honest: int) -> Siege:
    """`each` connections of every kind of `HOSTILE`, and `honest` clients meanwhile."""
    siege = Siege({kind: [] for kind in HOSTILE}, {kind: Counter() for kind in HOSTILE})
    address = urlsplit(server.url)

    async def attack(kind: str) -> None:
        first, again = HOSTILE[kind]
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        start = time.monotonic()

        async def dribble() -> None:
            writer.write(first)
            while True:
                await writer.drain()
                await asyncio.sleep(0.5 if len(again) < 2 else 0.005)
                writer.write(again)

        sending = asyncio.create_task(dribble())
        line = b""
        try:
            async with asyncio.timeout(CUT_OFF_S):
                with suppress(ConnectionError):
                    line = await reader.readline()
                    while await reader.read(65536):
                        pass
            seconds = time.monotonic() - start
        except TimeoutError:
            seconds = float("inf")
        sending.cancel()
        with suppress(ConnectionError, asyncio.CancelledError):
            await sending
        writer.close()
        siege.cut_off_s[kind].append(seconds)
        siege.first_lines[kind][line.decode().split(" ")[1] if line else "closed"] += 1

    attacks = asyncio.gather(*(attack(kind) for kind in HOSTILE for _ in range(each)))
    siege.honest = await crowd(server, pictures, clients=honest, seconds=HONEST_S)
    await attacks
    return siege


def complaints(siege: Siege) -> list[str]:
    """Connections that were not ended, or got another answer than they should."""
    found = []
    for kind, seconds in siege.cut_off_s.items():
        if any(one == float("inf") for one in seconds):
            found.append(f"{kind}: still open after {CUT_OFF_S:g} s")
        codes = set(siege.first_lines[kind])
        # A server that has answered closes, and what was still on its way may make the client lose the answer.
        if kind in ANSWERED and not codes <= {ANSWERED[kind], "closed"}:
            found.append(f"{kind}: answered {', '.join(sorted(codes))}")
    return found


def row(name: str, load: Load) -> list[str]:
    """Of the table of loads."""
    memory = max((mb for _, mb in load.memory), default=float("nan"))
    return [
        name,
        f"{load.clients}",
        f"{load.n:,}",
        f"{load.codes['200'] / load.seconds:.0f}",
        f"{load.wait_ms(0.5):.0f}",
        f"{load.wait_ms(0.99):.0f}",
        f"{load.wait_ms(1):.0f}",
        f"{load.refused:.1%}",
        f"{load.failed:.2%}",
        f"{memory:.0f}",
        f"{load.slope_mb:+.1f}",
    ]


COLUMNS = (
    *("", "clients", "requests", "scored/s", "p50 ms", "p99 ms", "longest ms", "429", "errors"),
    *("memory MB", "growth MB/min"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--each", type=int, default=40, help="hostile connections of each kind")
    parser.add_argument("--quick", action="store_true", help="a first look: few clients, seconds")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if given.quick:
        given.clients, given.seconds, given.each = min(given.clients, 40), min(given.seconds, 5), min(given.each, 4)
        given.results /= QUICK
    facts = model_facts(given.model)
    model = str(Path(given.model).resolve()) if Path(given.model).is_dir() else given.model
    options = ("--model", model, "--workers", str(WORKERS))
    with tempfile.TemporaryDirectory(prefix="beholder-bench-") as name:
        pictures = [path.read_bytes() for path in mixed(Path(name) / "pictures", PICTURES)]
        busy = busy_share()
        loads: dict[str, Load] = {}
        for kind, queue in (("room for all", ("--queue", str(max(64, 2 * given.clients)))), ("queue of 128", ())):
            print(f"{given.clients} clients for {given.seconds:g} s, {kind} ...", flush=True)
            with served(Path(name) / kind.replace(" ", "-"), *options, *queue) as server:
                loads[kind] = asyncio.run(crowd(server, pictures, clients=given.clients, seconds=given.seconds))
                left = len(server.uploads)
        print(f"{given.each} hostile connections of each of {len(HOSTILE)} kinds ...", flush=True)
        limits = ("--request-timeout", str(REQUEST_S), "--max-mb", str(REQUEST_MB))
        with served(Path(name) / "siege", *options, *limits) as server:
            siege = asyncio.run(besiege(server, pictures, each=given.each, honest=10))
    hostile = given.each * len(HOSTILE)
    share_of_core = max(load.cpu_s / load.seconds for load in loads.values())
    loads[f"beside {hostile} hostile connections"] = siege.honest
    found = complaints(siege)
    longest_s = {kind: max(seconds) for kind, seconds in siege.cut_off_s.items()}
    cut_off = ", ".join(f"{kind} after {seconds:.1f} s" for kind, seconds in longest_s.items())
    publish(
        "load",
        f"beholder serve, {WORKERS} workers, one JPEG of up to 900 pixels a side per request",
        Table(COLUMNS, [row(kind, load) for kind, load in loads.items()]),
        measured={
            "model": facts,
            "loads": {
                kind: {
                    "codes": dict(load.codes),
                    "seconds": load.seconds,
                    "cpu_s_of_clients": load.cpu_s,
                    "wait_ms": {f"p{share:g}": load.wait_ms(share / 100) for share in (50, 90, 99, 100)},
                    "memory_mb": [(round(at_s, 1), round(mb, 1)) for at_s, mb in load.memory],
                }
                for kind, load in loads.items()
            },
            "siege": {"cut_off_s": siege.cut_off_s, "answers": {k: dict(v) for k, v in siege.first_lines.items()}},
            "complaints": found,
        },
        limits=[
            *(at_most(f"{kind}: share of errors", load.failed, 0) for kind, load in loads.items()),
            *(at_most(f"{kind}: growth of memory", load.growth, GROWTH, " times") for kind, load in loads.items()),
            at_most("hostile connections treated wrongly", len(found), 0),
            at_most("uploads left behind", left, 0),
            at_least("requests of honest clients in the siege", siege.honest.codes["200"], 1),
        ],
        notes=[
            f"The crowd took {share_of_core:.0%} of a core at most.",
            f"Longest until a hostile connection was ended: {cut_off}.",
        ],
        busy_before=busy,
        folder=given.results,
    )


if __name__ == "__main__":
    script(main)
