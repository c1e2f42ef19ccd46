"""Completion, by the script that `--show-completion` prints, in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from beholder import cli
from beholder.cli import main

BASH = shutil.which("bash")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which `beholder` is this one."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "beholder").write_text(f'#!/bin/sh\nexec {sys.executable} -m beholder "$@"\n')
    (folder / "beholder").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.skipif(BASH is None, reason="no bash here")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("beholder ", set(cli.VERBS)),
        ("beholder sc", {"score"}),
        ("beholder score --max-", {"--max-pixels", "--max-bad"}),
        ("beholder data imp", {"import"}),
        ("beholder data import gen", {"generic"}),
        ("beholder score photos/ no", set()),  # then bash offers files
    ],
)
def test_bash_completes_verbs_their_verbs_and_options(line: str, expected: set[str], path: str) -> None:
    words = line.split(" ")
    script = (
        'source <(beholder --show-completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_beholder_completion beholder; printf "%s\\n" "${COMPREPLY[@]}"; complete -p beholder'
    )
    run = subprocess.run(
        [str(BASH), "-c", script, "bash", *words],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": path},
        check=True,
    )
    *offered, registered = run.stdout.splitlines()
    assert registered == "complete -o default -F _beholder_completion beholder"
    assert {word for word in offered if word} == expected
    assert run.stderr == ""


def test_zsh_and_fish_ask_by_other_variables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "beholder merge --o")
    for shell in ("zsh", "fish"):
        monkeypatch.setenv("_BEHOLDER_COMPLETE", f"complete_{shell}")
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        with pytest.raises(SystemExit):
            main([])
        assert "--out" in capsys.readouterr().out


def test_a_verb_whose_extra_is_missing_completes_to_nothing_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(cli.VERBS, "upscale", cli.Verb("no_such_module_anywhere:upscale", "Upscale.", extra="restore"))
    monkeypatch.setenv("_BEHOLDER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "beholder upscale --o")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert main([]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")
