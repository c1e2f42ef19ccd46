"""The shell around the verbs. `exercise` is a verb of these tests that ends in every way a verb can end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from beholder import __version__, cli
from beholder.cli import Verb, main

VERB_MODULE = '''
import os
import signal
import typer
from beholder.errors import UserError
from beholder.imaging.status import ImageError

def exercise(how: str, count: int = 1) -> int:
    """Do something that ends in the way that is asked for."""
    if how == "user":
        raise UserError("sides = 3;\\n  allowed are 4")
    if how == "image":
        raise ImageError("unreadable", "cat.jpg is empty")
    if how == "bug":
        raise ValueError("a bug of ours")
    if how == "file":
        open("/no/such/file")
    if how == "package":
        import a_package_that_nobody_has
    if how == "ours":
        import beholder.no_such_room
    if how == "code":
        raise typer.Exit(2)
    if how == "stop":
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    if how == "odd":
        typer.echo(os.fsdecode(b"caf\\xe9.jpg"))
    if how == "long":
        for i in range(100_000):
            print(i)
    return 2 if how == "return" else 0
'''


@pytest.fixture
def exercise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb `exercise` that is there for the time of one test."""
    (tmp_path / "exercise_verb.py").write_text(VERB_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "exercise_verb", raising=False)
    verb = Verb("exercise_verb:exercise", "Exercise.", extra="train", when_stopped="Go on with --resume.")
    monkeypatch.setitem(cli.VERBS, "exercise", verb)


def run_exercise(how: str, tmp_path: Path, **options: object) -> subprocess.Popen[bytes]:
    """`beholder exercise HOW` in a process of its own."""
    code = (
        "import sys; from beholder import cli; "
        "cli.VERBS['exercise'] = cli.Verb('exercise_verb:exercise', 'Exercise.', when_stopped='Go on with --resume.'); "
        "sys.exit(cli.main())"
    )
    (tmp_path / "exercise_verb.py").write_text(VERB_MODULE)
    command = [sys.executable, "-c", code, "exercise", how]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=tmp_path, **(pipes | options))  # type: ignore[call-overload, no-any-return]


def test_help_lists_every_verb_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        assert main(arguments) == 0
        shown = capsys.readouterr().out
        for name, verb in cli.VERBS.items():
            assert f"  {name}" in shown
            assert verb.help in shown, "a line this long is cut off on a terminal of 80 columns"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"beholder {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["scroe"], "beholder: No such command 'scroe'. Did you mean 'score'? Try: beholder --help\n"),
        (["--colour"], "beholder: No such option: --colour. Try: beholder --help\n"),
        (["exercise"], "beholder: Missing argument 'HOW'. Try: beholder exercise --help\n"),
        (["exercise", "user"], "beholder: sides = 3; allowed are 4\n"),
        (["exercise", "image"], "beholder: cat.jpg is empty\n"),
        (["exercise", "file"], "beholder: No such file or directory: '/no/such/file'\n"),
        (
            ["exercise", "package"],
            "beholder: exercise needs a_package_that_nobody_has, which is not installed. "
            "Try: pip install 'beholder[train]'\n",
        ),
    ],
)
@pytest.mark.usefixtures("exercise")
def test_a_mistake_is_one_line_and_exit_code_1(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    if arguments == ["exercise"]:  # the word for the argument's name differs between versions of typer
        assert shown.err.lower() == line.lower()
    else:
        assert shown.err == line


@pytest.mark.usefixtures("exercise")
def test_a_value_of_the_wrong_type_is_one_line_with_the_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exercise", "user", "--count", "many"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "--count" in line
    assert "many" in line


@pytest.mark.usefixtures("exercise")
def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ValueError, match="a bug of ours"):
        main(["exercise", "bug"])


@pytest.mark.usefixtures("exercise")
def test_a_module_of_ours_that_is_missing_is_a_bug_and_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_room"):
        main(["exercise", "ours"])


@pytest.mark.usefixtures("exercise")
def test_a_verb_sets_the_exit_code() -> None:
    assert main(["exercise", "fine"]) == 0
    assert main(["exercise", "return"]) == 2
    assert main(["exercise", "code"]) == 2


def test_ctrl_c_ends_with_130_and_one_line_that_says_how_to_go_on(tmp_path: Path) -> None:
    run = run_exercise("stop", tmp_path)
    _, shown = run.communicate(timeout=120)
    assert run.returncode == 130
    assert shown.decode() == "beholder: stopped. Go on with --resume.\n"


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    run = run_exercise("long", tmp_path)
    assert run.stdout is not None
    assert run.stderr is not None
    assert run.stdout.readline() == b"0\n"
    run.stdout.close()
    assert run.stderr.read() == b""
    run.stderr.close()
    assert run.wait(timeout=120) == 1


def test_a_file_name_that_no_encoding_can_print_is_printed_escaped(tmp_path: Path) -> None:
    shown, errors = run_exercise("odd", tmp_path).communicate(timeout=120)
    assert errors == b""
    assert shown == b"caf\\udce9.jpg\n"
