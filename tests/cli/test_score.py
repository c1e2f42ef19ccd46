from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import RenderPicture
from tiny_model import write_tiny_checkpoint

from beholder.cli import main
from beholder.cli.score import parse_max_bad
from beholder.errors import UserError

COMMAND = [sys.executable, "-c", "import sys; from beholder.cli import main; sys.exit(main())", "score"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny", seed=1))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, render_picture: RenderPicture) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i in range(40):
        render_picture(i, (80, 60)).save(folder / f"{i:02d}.jpg")
    return folder


def score(*arguments: str | Path) -> int:
    return main(["score", *map(str, arguments), "--workers", "1"])


def on_terminal(arguments: Sequence[str | Path], columns: int = 100) -> str:
    """What a person sees on a terminal, colours left out, with the last state of lines that are drawn again."""
    parent, child = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm-256color"}
    with subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=child, stderr=child, env=environment) as run:
        os.close(child)
        seen = b""
        while True:
            try:
                piece = os.read(parent, 65536)
            except OSError:  # Linux's end of a terminal
                break
            if not piece:
                break
            seen += piece
    os.close(parent)
    assert run.returncode == 0
    lines = [line.rsplit("\x1b[2K", 1)[-1] for line in seen.decode().replace("\r", "").splitlines()]
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", "\n".join(lines))


def test_a_pipe_gets_every_row_as_tab_separated_text_worst_first(
    photos: Path, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(photos, "--model", tiny) == 0
    out, err = capsys.readouterr()
    header, *rows = [line.split("\t") for line in out.splitlines()]
    assert header == ["path", "quality", "aesthetics", "status", "error"]
    assert len(rows) == 40
    qualities = [float(row[1]) for row in rows]
    assert qualities == sorted(qualities)
    assert qualities[-1] - qualities[0] > 1
    assert err.startswith("part 1 of 1: 40 of 40")
    assert "40 pictures: 40 ok" in err


def test_a_terminal_gets_the_worst_and_the_best_of_a_long_list(photos: Path, tiny: str) -> None:
    text = on_terminal([photos, "--model", tiny])
    assert str(photos) in text
    shown = re.findall(r"^(\d\d\.jpg) +(\d+\.\d) ", text, re.MULTILINE)
    assert len(shown) == 30
    assert [float(quality) for _, quality in shown] == sorted(float(quality) for _, quality in shown)
    assert "10 more between; all of them: -o scores.csv" in text
    assert "40 pictures: 40 ok" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_name_can_not_steer_the_terminal(tiny: str, render_picture: RenderPicture, tmp_path: Path) -> None:
    render_picture(1, (80, 60)).save(tmp_path / "a\x1b]0;title\x07\n\x9b2J.jpg")
    text = on_terminal([tmp_path, "--model", tiny])
    assert r"a\x1b]0;title\x07\n\x9b2J.jpg" in text


def test_a_narrow_terminal_keeps_the_end_of_a_name(tiny: str, render_picture: RenderPicture, tmp_path: Path) -> None:
    for name in ("a.jpg", "b" * 90 + "_the_end.jpg"):
        render_picture(1, (80, 60)).save(tmp_path / name)
    text = on_terminal([tmp_path, "--model", tiny], columns=70)
    assert re.search(r"^…b+_the_end\.jpg +\d", text, re.MULTILINE)


def test_failed_rows_are_listed_with_their_reasons(photos: Path, tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(photos, "missing.jpg", "--model", tiny) == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "missing.jpg\t\t\tunreadable\tno such file"
    assert "missing.jpg: no such file" in err


def test_exit_code_tells_whether_more_failed_than_allowed(photos: Path, tiny: str, tmp_path: Path) -> None:
    def code(*options: str) -> int:
        out = tmp_path / "scores.parquet"
        result = score(photos, "missing.jpg", "gone.png", "--model", tiny, "-o", out, "--overwrite", *options)
        assert pq.read_metadata(out).num_rows == 42  # written in any case
        return result

    assert code() == 2  # 2 of 42 are more than 1%
    assert code("--max-bad", "5%") == 0
    assert code("--max-bad", "2") == 0
    assert code("--max-bad", "1") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to score"),
        (["photos", "--max-bad", "many"], "--max-bad many"),
        (["photos", "--max-bad", "101%"], "--max-bad 101%"),
        (["photos", "--task", "beauty"], "beauty"),
        (["photos", "--sort", "size"], "--sort size"),
        (["photos", "--model", "nothing"], "nothing"),
        (["photos", "-o", "scores.xls"], ".parquet, .csv, .jsonl"),
        (["photos", "--savefile", "x"], "--savefile"),
        (["no_such_folder"], "no_such_folder"),
    ],
)
def test_bad_arguments_end_with_one_line_and_exit_code_1(
    arguments: list[str],
    message: str,
    photos: Path,
    tiny: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photos.parent)
    photos_here = [str(photos) if argument == "photos" else argument for argument in arguments]
    assert main(["score", *([] if "--model" in arguments else ["--model", tiny]), *photos_here]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert message in err


def test_a_list_on_stdin_may_hold_any_name(tiny: str, render_picture: RenderPicture, tmp_path: Path) -> None:
    names = [b"plain.jpg", b"caf\xe9.jpg"]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:  # noqa: PTH118, PTH123 (bytes)
            render_picture(1, (80, 60)).save(file, format="JPEG")
    run = subprocess.run(
        [*COMMAND, "-", "--model", tiny, "-o", "scores.jsonl"],
        input=b"\n".join(names), cwd=tmp_path, capture_output=True, check=True,
    )  # fmt: skip
    assert run.stdout == b""
    rows = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["path"], row["status"]) for row in rows] == [("plain.jpg", "ok"), ("caf␛dce9.jpg", "ok")]


def test_a_run_to_a_file_can_be_resumed_and_retried_from_the_command_line(
    photos: Path, tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.csv"
    late = tmp_path / "late.jpg"
    assert score(photos, late, "--model", tiny, "-o", out, "--max-bad", "1") == 0
    assert "beholder score --retry-failed" in capsys.readouterr().err
    assert score("--resume", "--model", tiny, "-o", out, "--max-bad", "1") == 0
    assert "nothing left to score" in capsys.readouterr().err
    late.hardlink_to(photos / "00.jpg")
    assert score("--retry-failed", "--model", tiny, "-o", out, "--max-bad", "0") == 0
    assert "41 pictures: 41 ok" in capsys.readouterr().err


def test_explain_model_says_what_the_numbers_mean(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--model", tiny, "--explain-model"]) == 0
    assert "higher is better" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "n_total", "allowed"), [("1%", 500, 5), ("0.5%", 200, 1), ("0", 99, 0), (" 7 ", 8, 7), ("100%", 3, 3)]
)
def test_max_bad_is_a_share_or_a_number(text: str, n_total: int, allowed: float) -> None:
    assert parse_max_bad(text)(n_total) == pytest.approx(allowed)


@pytest.mark.parametrize("text", ["-1", "1.5", "101%", "", "%", "nan%", "inf%"])
def test_a_wrong_max_bad_is_an_error(text: str) -> None:
    with pytest.raises(UserError, match="--max-bad"):
        parse_max_bad(text)


def test_scoring_loads_no_heavy_package() -> None:
    heavy = {"torch", "transformers", "scipy", "pandas", "ray", "sklearn"}
    code = f"import sys, beholder.cli.score; print(*sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_ctrl_c_without_a_file_ends_with_130_and_one_line(tiny: str) -> None:
    names = "\n".join(f"missing{i}.jpg" for i in range(200_000)).encode()
    command = [*COMMAND, "-", "--model", tiny, "--workers", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdin is not None
        assert run.stderr is not None
        run.stdin.write(names)
        run.stdin.close()
        assert run.stderr.readline().startswith(b"part 1 of ")
        run.send_signal(signal.SIGINT)
        lines = [line for line in run.stderr.read().decode().splitlines() if not line.startswith("part ")]
        assert run.stdout is not None
        assert run.stdout.read() == b""
    assert run.returncode == 130
    assert lines == ["beholder: stopped. Nothing is kept, since there is no -o to keep it in."]


def test_reasons_are_refused_where_a_model_has_none(
    tiny: str, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(photos, "--model", tiny, "--explain") == 1
    assert "model 'tiny' gives scores without reasons" in capsys.readouterr().err
