"""Rules of the house that no linter knows: sizes, names, and documents that say what the code does."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from beholder.cli import VERBS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
CODE = sorted(file for room in ("src", "tests", "bench", "examples", "docs") for file in (ROOT / room).rglob("*.py"))

MAX_LINES = 400
MAX_BYTES = 2_000_000
NAMES_THAT_SAY_NOTHING = {"util", "utils", "common", "helper", "helpers", "misc", "tools"}

INHERITED_OPTIONS = {"--help", "-h"}


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def stored_files() -> list[Path]:
    """Files that git keeps or would keep."""
    line = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_a_drawer_can_be_read_in_one_sitting() -> None:
    lines = {str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in CODE}
    assert {name: n for name, n in lines.items() if n > MAX_LINES and not name.startswith("tests/")} == {}


def test_a_name_says_what_is_inside() -> None:
    assert [name for name in names(CODE) if NAMES_THAT_SAY_NOTHING & set(Path(name).with_suffix("").parts)] == []


def test_nothing_large_is_stored_but_weights() -> None:
    large = [file for file in stored_files() if file.stat().st_size > MAX_BYTES]
    assert [name for name in names(large) if not name.startswith("src/beholder/weights/")] == []


def test_constraints_are_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line)] == []


def test_every_room_is_in_the_map() -> None:
    rooms = {file.parent.name for file in (ROOT / "src/beholder").glob("*/__init__.py")}
    described = set(re.findall(r"(?m)^\| `(\w+)/?` \|", (ROOT / "docs/architecture.md").read_text(encoding="utf-8")))
    assert rooms - described == set()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_page_that_names_all_its_options(verb: str) -> None:
    page = (ROOT / "docs" / f"{verb}.md").read_text(encoding="utf-8")
    options = {option for command in commands_below(command_of(verb)) for option in options_of(command)}
    assert sorted(option for option in options if option not in page) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_a_document_shows_exists(document: Path) -> None:
    for line in shown_commands(document):
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            targets = re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))
            assert {word for word in words[1:] if "=" not in word} <= set(targets), line
        elif words[0] == "beholder":
            check_arguments(words[1:], line)
        elif words[0] == "python" and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file(), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_links_to_exists(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_tables_are_what_the_stored_results_say(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = import_module("beholder.evaluate.tables")
    code = tables.main([str(document), "--results", str(ROOT / "bench" / "results"), "--check"])
    assert code == 0, "\n".join(capsys.readouterr())


def command_of(verb: str) -> Any:
    """The command behind a verb, with its options and the verbs below it."""
    module, attribute = VERBS[verb].load.split(":")
    loaded = getattr(import_module(module), attribute)
    if isinstance(loaded, typer.Typer):
        return typer.main.get_command(loaded)
    app = typer.Typer(add_completion=False)
    app.command(verb)(loaded)
    return typer.main.get_command(app)


def commands_below(command: Any) -> Iterator[Any]:
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from commands_below(below)


def options_of(command: Any) -> set[str]:
    found = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    own = {option for option in found if option.startswith("--")}
    return own - {"--install-completion", "--show-completion"} - INHERITED_OPTIONS


def check_arguments(words: list[str], line: str) -> None:
    """The words after `beholder` name a verb, verbs below it, and options that it has."""
    if not words or words[0] in {"--help", "-h", "--version", "--install-completion", "--show-completion"}:
        return
    assert words[0] in VERBS, f"no such verb: {line}"
    if words[0] == "evaluate" and words[1:] and words[1] != "restoration":  # the verb `scores` may be left out
        words = [words[0], "scores", *words[1:]]
    command = command_of(words[0])
    known = options_of(command) | {"-o"} | INHERITED_OPTIONS
    for word in words[1:]:
        if word in getattr(command, "commands", {}):
            command = command.commands[word]
            known |= options_of(command)
        elif re.match(r"--[a-z]|-[a-z]$", word):
            assert word.split("=")[0] in known, f"no option {word}: {line}"
        elif getattr(command, "commands", {}):
            raise AssertionError(f"no verb {word!r} below: {line}")


def shown_commands(document: Path) -> Iterator[str]:
    """Commands in fenced blocks of shell: whole lines in `sh` blocks, those after `$ ` in `console` blocks."""
    for kind, body in re.findall(r"(?ms)^```(sh|console)\n(.*?)^```", document.read_text(encoding="utf-8")):
        for line in body.replace("\\\n", " ").splitlines():
            if kind == "sh" and line.strip() and not line.startswith("#"):
                yield from re.split(r"\s*(?:\||&&)\s*", line)
            elif line.startswith("$ "):
                yield from re.split(r"\s*(?:\||&&)\s*", line.removeprefix("$ "))
