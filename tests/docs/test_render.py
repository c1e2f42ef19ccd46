import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
render = runpy.run_path(str(ROOT / "docs" / "render.py"))["render"]


def test_a_marked_block_shows_what_its_commands_print(tmp_path):
    document = "Text.\n<!-- run -->\n```console\n$ echo new; echo more\nold\n$ echo next\n```\nEnd.\n"
    expected = "Text.\n<!-- run -->\n```console\n$ echo new; echo more\nnew\nmore\n\n$ echo next\nnext\n```\nEnd.\n"
    assert render(document, tmp_path) == expected
    assert render(expected, tmp_path) == expected


def test_commands_of_a_document_share_a_folder_and_its_unseen_setup(tmp_path):
    blocks = "<!-- run -->\n```console\n$ cp a b\n```\n<!-- run -->\n```console\n$ cat b\n```\n"
    document = f"<!-- setup: echo seed > a -->\n{blocks}"
    assert "$ cat b\nseed\n" in render(document, tmp_path)


def test_a_block_without_a_mark_or_without_its_data_stays(tmp_path):
    document = "```console\n$ echo new\nold\n```\n<!-- run if no/such and . -->\n```console\n$ echo new\nold\n```\n"
    assert render(document, tmp_path) == document


def test_folders_of_this_machine_and_colours_stay_out(tmp_path):
    document = f"<!-- run -->\n```console\n$ pwd; ls -d {ROOT}; printf '\\033[31mred\\033[0m'\n```\n"
    shown = render(document, tmp_path).splitlines()[3:6]
    assert shown == ["/home/you/beholder", "/home/you/beholder", "red"]


def test_commands_believe_in_a_terminal_of_the_width_asked_for(tmp_path):
    document = "<!-- run at 120 columns -->\n```console\n$ test -t 1 && echo $COLUMNS\n```\n"
    assert "\n120\n" in render(document, tmp_path)


def test_a_command_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="no-such-command"):
        render("<!-- run -->\n```console\n$ no-such-command\n```\n", tmp_path)
