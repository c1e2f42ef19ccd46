"""`beholder doctor`: what is installed, which devices there are, which models work, and what to install for more."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from typing import Annotated, Literal

import typer

from beholder import __version__
from beholder.cli.installed import EXTRAS, needs

State = Literal["ok", "missing", "broken", "note"]

ROOM_GB = 1.0
"""Less than this free for temporary files is said to be short."""


@dataclass(frozen=True)
class Finding:
    """One line."""

    section: str
    state: State
    """`missing` is something that can be added, `broken` something that does not work as it should."""
    what: str
    says: str
    install: str = ""
    """The command that adds what is missing."""


def doctor(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="Models to try besides those in the package.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON, for programs.")] = False,
) -> int:
    """Say what is installed, which devices there are, which models work here, and what to install for more.

    Each model is loaded and given a small picture. Nothing is fetched or sent, and no file or folder of yours is named,
    but the models that you name. The exit code is 0 unless something is broken.
    """
    findings = []
    for finding in examine(models or []):
        findings.append(finding)
        if not as_json:
            _show(finding, first=not any(before.section == finding.section for before in findings[:-1]))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _show_more(findings)
    return 1 if any(finding.state == "broken" for finding in findings) else 0


def examine(models: list[str]) -> Iterator[Finding]:
    """Every finding, as it is found; the light ones first."""
    yield from _core()
    yield from _extras()
    yield from _devices()
    yield from _models(models)


def _core() -> Iterator[Finding]:
    machine = f"{platform.system()} {platform.machine()}"
    yield Finding("Core", "ok", "beholder", f"{__version__}, Python {platform.python_version()}, {machine}")
    try:
        core = needs()
    except PackageNotFoundError:
        yield Finding("Core", "note", "packages", "unknown: beholder runs from its source without being installed")
        return
    wrong = [need for need in core if not need.fits]
    for need in wrong:
        yield Finding("Core", "broken", need.name, str(need), f"pip install '{need.name}{need.wanted}'")
    if not wrong:
        yield Finding("Core", "ok", "packages", ", ".join(map(str, core)))
    with tempfile.TemporaryDirectory() as folder:
        free_gb = shutil.disk_usage(folder).free / 1e9
    short = free_gb < ROOM_GB
    says = f"{free_gb:.1f} GB free" + (", which is short: serve and training keep files there" if short else "")
    yield Finding("Core", "note" if short else "ok", "temporary files", says)


def _extras() -> Iterator[Finding]:
    for extra, purpose in EXTRAS.items():
        try:
            wrong = [need for need in needs(extra) if not need.fits]
        except PackageNotFoundError:
            return
        state: State = "ok" if not wrong else "missing" if any(need.found is None for need in wrong) else "broken"
        install = f"pip install 'beholder[{extra}]'" if wrong else ""
        lacks = ", ".join(need.name for need in wrong if need.found is None)
        old = [str(need) for need in wrong if need.found is not None]
        says = "; ".join([purpose, *([f"lacks {lacks}"] if lacks else []), *old])
        yield Finding("Extras", state, extra, says, install)


def _devices() -> Iterator[Finding]:
    from beholder.batch.workers import usable_cpus

    yield Finding("Devices", "ok", "cpu", f"{usable_cpus()} of {os.cpu_count()} cores; scores are made here")
    if find_spec("torch") is None:
        yield Finding("Devices", "note", "gpu", "not looked for: torch is not installed")
        return
    try:
        import torch
    except Exception as error:  # noqa: BLE001  a package that is damaged fails in its own way
        install = "pip install --force-reinstall torch"
        yield Finding("Devices", "broken", "torch", f"can't be imported: {_line(error)}", install)
        return
    found = False
    for i in range(torch.cuda.device_count()):
        found = True
        facts = torch.cuda.get_device_properties(i)
        says = f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB; torch {torch.__version__}"
        yield Finding("Devices", "ok", f"cuda:{i}", says)
    if torch.backends.mps.is_available():
        found = True
        yield Finding("Devices", "ok", "mps", f"Apple's GPU; torch {torch.__version__}")
    if not found:
        says = f"none that torch {torch.__version__} can use; training and upscale run on the CPU"
        yield Finding("Devices", "note", "gpu", says)


def _models(named: list[str]) -> Iterator[Finding]:
    from beholder.restore.upscaler import EMBEDDED
    from beholder.scoring.table import MODELS

    for row in MODELS:
        yield _try(row.name, lambda name=row.name: _score(name))  # type: ignore[misc]
    for name in EMBEDDED:
        if find_spec("torch") is None or find_spec("safetensors") is None:
            says, install = "needs the extra restore", "pip install 'beholder[restore]'"
            yield Finding("Models", "missing", name, says, install)
        else:
            yield _try(name, lambda name=name: _upscale(name))  # type: ignore[misc]
    for name in named:
        yield _try(name, lambda name=name: _score(name))  # type: ignore[misc]


def _try(name: str, use: Callable[[], str]) -> Finding:
    start_s = time.monotonic()
    try:
        did = use()
    except Exception as error:  # noqa: BLE001  whatever goes wrong is what is asked
        return Finding("Models", "broken", name, _line(error))
    return Finding("Models", "ok", name, f"{did} in {time.monotonic() - start_s:.1f} s, loading included")


def _score(name: str) -> str:
    from PIL import Image

    import beholder

    score = beholder.load(name).score(Image.linear_gradient("L").convert("RGB"))
    if score.status != "ok":
        raise RuntimeError(score.error or score.status)
    return "scored a picture"


def _upscale(name: str) -> str:
    from PIL import Image

    from beholder.restore.upscaler import load_upscaler

    load_upscaler(name)(Image.linear_gradient("L").resize((32, 32)).convert("RGB"))
    return "enlarged a picture of 32 x 32"


def _line(error: Exception) -> str:
    return " ".join(f"{error}".split()) or type(error).__name__


def _show(finding: Finding, *, first: bool) -> None:
    if first:
        typer.echo(f"{'' if finding.section == 'Core' else chr(10)}{finding.section}")
    typer.echo(f"  {finding.state:<7}  {finding.what:<15}  {finding.says}")
    sys.stdout.flush()  # the next one may take seconds


def _show_more(findings: list[Finding]) -> None:
    lines = {finding.install: None for finding in findings if finding.install}  # each once, in order
    if lines:
        typer.echo("\n".join(["", "For more", *(f"  {line}" for line in lines)]))
