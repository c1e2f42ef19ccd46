"""Damaged files through `beholder score`, `beholder upscale` and `beholder serve`; see `damaged_files`."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from record import beholder_command
from sandbox import Outcome, run_inside
from served import served

from beholder.batch.files import read_rows
from beholder.imaging.status import STATUSES

SLACK_S = 20.0
"""Beyond the time limit of a picture: a new worker starts and loads the model, and the next picture may hang too."""

SCORE = """
import itertools, json, sys, time, beholder
folder, out, model, timeout = sys.argv[1:]
marks = []
beholder.score(folder, out=out, model=model, workers=2, batch_size=1, timeout_s=float(timeout),
               on_progress=lambda _: marks.append(time.monotonic()))
print(json.dumps(max(b - a for a, b in itertools.pairwise(marks))))
"""

UPSCALE = """
import itertools, json, sys, time, beholder
folder, out, model, timeout, max_pixels = sys.argv[1:]
marks, statuses = [], []
def on_progress(progress):
    if progress.row is not None or not marks:
        marks.append(time.monotonic())
    if progress.row is not None:
        statuses.append(progress.row.status)
beholder.upscale(folder, out, model=model, batch_size=64, max_pixels=int(max_pixels), timeout_s=float(timeout),
                 on_progress=on_progress)
print(json.dumps([max(b - a for a, b in itertools.pairwise(marks)), statuses]))
"""

UPSCALE_PIXELS = 10_000
"""Larger pictures are refused by `upscale` here, bombs among them: the random model would take minutes for one."""

NAMES = (
    "{name}",
    "../../{name}",
    "/etc/cron.d/{name}",
    "..\\..\\{name}",
    "C:\\{name}",
    "a/../../../{name}",
    "{name}\x00.jpg",
    "{name}\r\nSet-Cookie: a=b",
    '"; filename="{name}',
    "~/{name}",
    "-o {name}",
    "x" * 3000 + "{name}",
    "картинка 🙂 {name}",
    "",
)
"""What hostile clients call their files."""


def fuzz_score(corpus: Path, kinds: Mapping[str, str], sandbox: Path, model: str, *, timeout_s: float) -> Outcome:
    """All files twice: one at a time, where the longest silence is taken, and by the command in batches."""
    limit_s = 120 + len(kinds) * (timeout_s + 1) / 4
    files = [sandbox / name / "scores.parquet" for name in ("one", "many")]
    ended = [
        run_inside(
            sandbox / "one",
            [sys.executable, "-c", SCORE, corpus, files[0], model, str(timeout_s)],
            out=files[0],
            limit_s=limit_s,
        ),
        run_inside(
            sandbox / "many",
            beholder_command(
                *("score", str(corpus), "-o", str(files[1]), "--model", model, "--workers", "2"),
                *("--timeout", str(timeout_s), "--max-bad", "100%"),
            ),
            out=files[1],
            limit_s=limit_s,
        ),
    ]
    broken = [complaint for one in ended for complaint in one.complaints(0)]
    statuses: list[list[str]] = []
    for file in files:
        rows = read_rows(file) if file.exists() else None
        statuses.append(rows["status"].to_pylist() if rows else [])
        if rows is None or [Path(path).name for path in rows["path"].to_pylist()] != sorted(kinds):
            broken.append("rows are lost, doubled or in another order")
    for name, first, second in zip(sorted(kinds), *statuses, strict=False):
        if first != second and "timeout" not in (first, second):
            broken.append(f"{name}: {first} alone, {second} in a batch")
    broken += [
        f"{name} crashed its decoder" for name, one in zip(sorted(kinds), statuses[0], strict=False) if one == "crashed"
    ]
    longest_s = float(ended[0].out) if ended[0].code == 0 else None
    return _outcome("damaged files, score", len(kinds), broken, statuses[0], longest_s, timeout_s)  # fmt: skip


def fuzz_upscale(corpus: Path, kinds: Mapping[str, str], sandbox: Path, model: Path, *, timeout_s: float) -> Outcome:
    """All files through an AlignVAR model in the folder `model`."""
    out = sandbox / "larger"
    ended = run_inside(
        sandbox,
        [sys.executable, "-c", UPSCALE, corpus, out, model, str(timeout_s), str(UPSCALE_PIXELS)],
        out=out,
        limit_s=300 + len(kinds) * 5,
    )
    broken = ended.complaints(0)
    longest_s, statuses = json.loads(ended.out) if ended.code == 0 else (None, [])
    made = [path for path in out.rglob("*") if path.is_file()] if out.exists() else []
    if len(statuses) != len(kinds):
        broken.append(f"{len(statuses)} rows for {len(kinds)} files")
    if len(made) != statuses.count("ok"):
        broken.append(f"{len(made)} results for {statuses.count('ok')} rows")
    broken += ["a decoder crashed"] * statuses.count("crashed")
    return _outcome("damaged files, upscale", len(kinds), broken, statuses, longest_s, timeout_s)


def fuzz_serve(corpus: Path, kinds: Mapping[str, str], sandbox: Path, model: str, *, timeout_s: float) -> Outcome:
    """All files under hostile names, four clients at a time."""
    statuses: list[str] = []
    broken: list[str] = []
    seconds: list[float] = []
    options = (
        "--model",
        model,
        "--workers",
        "2",
        "--timeout",
        str(timeout_s),
        "--request-timeout",
        str(20 * timeout_s),
    )
    with served(sandbox, *options) as server, httpx.Client(base_url=server.url, timeout=60 + 20 * timeout_s) as client:

        def send(numbered: tuple[int, str]) -> None:
            i, name = numbered
            called = NAMES[i % len(NAMES)].replace("{name}", name)
            start = time.monotonic()
            try:
                answer = client.post("/v1/score", files={"pictures": (called, (corpus / name).read_bytes())})
            except httpx.HTTPError as error:
                broken.append(f"{name}: {type(error).__name__}")
                return
            seconds.append(time.monotonic() - start)
            if answer.status_code == 422 and not called:  # a file without a name is a form field
                statuses.append("refused")
            elif answer.status_code != 200 or (status := answer.json()["pictures"][0]["status"]) not in STATUSES:
                broken.append(f"{name} as {called[:40]!r}: {answer.status_code} {answer.text[:200]}")
            else:
                statuses.append(status)
                broken.extend([f"{name} crashed its decoder"] if status == "crashed" else [])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(send, enumerate(sorted(kinds))))
        if client.get("/healthz").status_code != 200:
            broken.append("the server is not healthy afterwards")
        broken += [f"an upload was left behind: {path.name}" for path in server.uploads]
        if code := server.end():
            broken.append(f"exit code {code} after SIGTERM")
        broken += [f"not a log line: {entry['text'][:200]}" for entry in server.log if entry["event"] == "text"]
        broken += [f"stray file {path.name}" for path in sandbox.rglob("*") if path.is_file()]
    # Four clients wait for two workers, whose batches hold up to four pictures.
    longest_s, limit_s = max(seconds, default=0.0), 4 * timeout_s
    return _outcome("damaged files, serve", len(kinds), broken, statuses, longest_s, limit_s)


def _outcome(
    name: str, tries: int, broken: list[str], statuses: list[str], longest_s: float | None, limit_s: float
) -> Outcome:
    limit_s += SLACK_S
    if longest_s is not None and longest_s > limit_s:
        broken.append(f"nothing was heard for {longest_s:.0f} s")
    counted = Counter(statuses)
    seen = ", ".join(f"{n:,} {status}" for status, n in counted.most_common())
    return Outcome(name, tries, tuple(broken), seen, longest_s, limit_s)
