"""Run the commands that the documents show and put in what they print, so that no example goes stale.

    python docs/render.py README.md docs/*.md

A line `<!-- run -->` marks the fenced block below it: each line that starts with `$ ` is run, and what it prints
replaces what stood below it. `<!-- run if PATH and PATH -->` runs only where these paths exist, for examples that need
data; `<!-- run at 160 columns -->` is for a wide table.
Before the blocks of a document its `<!-- setup: COMMAND -->` lines are run, unseen.

The commands of a document share a throw-away folder that looks like the repository (links to everything but `results`
and Git's folder), and a pseudo-terminal without colours, 88 columns wide.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHOWN_FOLDER = "/home/you/beholder"
"""What the names of the throw-away folder and of this checkout are replaced with."""

COLUMNS = 88

LEFT_OUT = {".git", "results", "scores.csv", "scores.parquet"}

_SETUP = re.compile(r"(?m)^<!-- setup: (?P<command>.*) -->$")
_BLOCK = re.compile(
    r"(?ms)^<!-- run(?: at (?P<columns>\d+) columns)?(?: if (?P<needs>.+?))? -->\n"
    r"```console\n(?P<body>.*?)^```$"
)


def render(document: str, workplace: Path) -> str:
    """The text of a document with every marked block run anew in `workplace`. Raises RuntimeError where one can't."""
    for setup in _SETUP.finditer(document):
        output = run(setup["command"], workplace)
        if output:
            raise RuntimeError(f"setup {setup['command']!r} printed {output!r}; it must be silent")

    def fresh(block: re.Match[str]) -> str:
        if not all((workplace / path).exists() for path in (block["needs"] or ".").split(" and ")):
            return block[0]
        return block[0].replace(block["body"], _rerun(block["body"], workplace, int(block["columns"] or COLUMNS)))

    return _BLOCK.sub(fresh, document)


def _rerun(body: str, workplace: Path, columns: int) -> str:
    commands = [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]
    return "\n".join(f"$ {command}\n{run(command, workplace, columns)}" for command in commands)


def run(command: str, workplace: Path, columns: int = COLUMNS) -> str:
    """Lines that a command prints on a terminal, stdout and stderr together. RuntimeError on an unknown command."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TERM": "dumb",  # progress bars, which vanish in the end, are not drawn at all
        "COLUMNS": str(columns),
        "LINES": "40",
        "NO_COLOR": "1",
    }
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["sh", "-c", command], cwd=workplace, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        output = _read_all(ours)
    if process.returncode == 127:
        raise RuntimeError(f"{command}: {output.strip()}")
    text = output.replace("\r\n", "\n").replace(str(workplace), SHOWN_FOLDER).replace(str(ROOT), SHOWN_FOLDER)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\r\n").splitlines())


def _read_all(terminal: int) -> str:
    """Everything until the other end closes, which Linux tells with an error and other systems with an empty read."""
    pieces = []
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            piece = b""
        if not piece:
            os.close(terminal)
            return b"".join(pieces).decode("utf-8", "replace")
        pieces.append(piece)


def make_workplace(folder: Path) -> None:
    """Links in `folder` to everything in the repository that commands may read."""
    for entry in ROOT.iterdir():
        if entry.name not in LEFT_OUT:
            (folder / entry.name).symlink_to(entry)


def main() -> int:
    """Render the documents given; exit code 1 where a command can't be run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", nargs="+", type=Path)
    for document in parser.parse_args().documents:
        text = document.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory(prefix="beholder-docs-") as folder:
            make_workplace(Path(folder).resolve())
            try:
                rendered = render(text, Path(folder).resolve())
            except RuntimeError as error:
                print(f"{document}: {error}", file=sys.stderr)
                return 1
        if rendered != text:
            document.write_text(rendered, encoding="utf-8")
            print(f"{shlex.quote(str(document))} updated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
