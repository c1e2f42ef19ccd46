from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import RenderPicture
from scored_rows import scored_rows

from beholder.batch.files import read_rows, write_rows
from beholder.batch.picks import SCHEMA_OF_BOTH
from beholder.cli import main


@pytest.fixture
def scores(tmp_path: Path, render_picture: RenderPicture, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight pictures in two folders, here, and a file of scores that were made up; 3 is 2 again."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for i in range(8):
        path = Path(f"photos/{'even' if i % 2 == 0 else 'odd'}/{i}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        render_picture(2 if i == 3 else i, (96, 64)).save(path)
        rows.append({"path": str(path), "quality": 10 * i, "aesthetics": 50 - i})
    rows.append({"path": "photos/broken.jpg", "status": "unreadable", "error": "truncated"})
    write_rows([scored_rows(*rows)], Path("scores.parquet"))
    return Path("scores.parquet")


def test_paths_go_to_stdout_and_everything_else_to_stderr(
    scores: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["select", str(scores), "--where", "quality >= 10", "--top", "3", "--by", "aesthetics"]) == 0
    out, err = capfdbinary.readouterr()
    assert out == b"photos/odd/1.png\nphotos/even/2.png\nphotos/odd/3.png\n"
    assert err == b"9 rows | 8 scored | 7 match | 3 selected, best aesthetics first\n"
    assert main(["select", str(scores), "--top=2", "--balance=folder", "--null"]) == 0
    assert capfdbinary.readouterr().out == b"photos/odd/7.png\0photos/even/6.png\0"


def test_near_duplicates_are_copied_once(scores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", str(scores), "--unique", "--copy", "best"]) == 0
    assert "8 scored | 7 without near-duplicates | 7 selected" in capsys.readouterr().err
    assert sorted(file.stem for file in Path("best").rglob("*.png")) == list("0134567")
    assert main(["report", "best/selection.parquet", "--pictures", "best", "-o", "page.html"]) == 0
    assert "7 thumbnails" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["wanted.parquet", "wanted.csv"])
def test_the_columns_of_a_cascade_can_be_named_and_are_kept(
    scores: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = read_rows(scores)
    fast = pa.array([None if q is None else 80 - q for q in rows["quality"].to_pylist()], pa.float32())
    picked = pa.array([None, "band", "audit", "band and audit"] + [None] * 5, pa.string())
    both = pa.table([*rows.columns, fast, rows["aesthetics"], picked], schema=SCHEMA_OF_BOTH)
    write_rows([both], Path("both.parquet"), SCHEMA_OF_BOTH)
    asked = ["--where", "'band' in picked", "--by", "fast_quality"]
    assert main(["select", "both.parquet", *asked, "--list", name]) == 0
    kept = read_rows(Path(name), SCHEMA_OF_BOTH)
    assert kept["picked"].to_pylist() == ["band", "band and audit"]
    assert kept["fast_quality"].to_pylist() == [70, 50]
    assert main(["select", "both.parquet", *asked, "--copy", "best"]) == 0
    assert read_rows(Path("best/selection.parquet"), SCHEMA_OF_BOTH)["picked"].to_pylist() == kept["picked"].to_pylist()
    capsys.readouterr()
    assert main(["select", str(scores), *asked]) == 1
    assert "there is no column 'picked'. Columns are" in capsys.readouterr().err


def test_relative_paths_start_where_scoring_ran(scores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path.cwd()
    Path("work").mkdir()
    monkeypatch.chdir("work")
    assert main(["select", "../scores.parquet", "--link", "links"]) == 1
    assert main(["select", "../scores.parquet", "--link", "links", "--pictures", ".."]) == 0
    assert Path("links/odd/5.png").samefile(home / "photos/odd/5.png")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--where", "qualiti > 3"], "--where 'qualiti > 3': there is no column 'qualiti'; did you mean quality?"),
        (["--by", "path"], "--by 'path': 'path' is a text where a number is expected"),
        (["--copy", "a", "--list", "b.csv"], "--copy, --link and --list exclude each other"),
        (["--copy", "a", "--null"], "--null says nothing here"),
        (["--agreement", "0.5"], "--agreement says how alike near-duplicates are, so it needs --unique"),
        (["--unique", "--agreement", "1.5"], "--agreement 1.5: allowed are numbers above 0 to 1"),
        (["--unique", "--agreement", "nan"], "--agreement nan: allowed"),
        (["--copy", "photos"], "photos exists already"),
    ],
)
def test_a_mistake_ends_as_one_line(
    scores: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path().rglob("*"))
    assert main(["select", str(scores), *options]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"beholder: {message}")
    assert err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("options", [["--copy", "photos"], ["--list", "scores.parquet"], ["--list", "no/list.csv"]])
def test_an_output_that_can_not_be_is_told_before_pictures_are_compared(
    scores: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("pictures were compared for nothing")

    monkeypatch.setattr("beholder.selection.choose.group_alike", fail)
    assert main(["select", str(scores), "--unique", *options]) == 1


def test_a_copy_that_is_killed_goes_on_with_the_same_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    names = [f"photos/{i:04d}.jpg" for i in range(600)]
    for i, name in enumerate(names):
        Path(name).write_bytes(i.to_bytes(2, "big") * 4096)
    write_rows([scored_rows(*({"path": name, "quality": 50} for name in names))], Path("scores.parquet"))
    command = [sys.executable, "-m", "beholder", "select", "scores.parquet", "--copy", "best"]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    tree = Path("best.parts/tree")
    while not (tree / "0020.jpg").exists() and run.poll() is None:
        time.sleep(0.001)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not Path("best").exists()
    n_before = len(list(tree.glob("*.jpg")))
    assert 20 < n_before < 600
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{n_before:,} were there from before\nwrote best\n" in again.stderr
    assert [Path("best", Path(name).name).read_bytes() == Path(name).read_bytes() for name in names].count(False) == 0
    assert len(read_rows(Path("best/selection.parquet"))) == 600
    assert not Path("best.parts").exists()


def test_no_data_frame_library_is_loaded(scores: Path) -> None:
    code = (
        "import sys; from beholder.cli import main;"
        "main(['select', 'scores.parquet', '--unique', '--copy', 'best']); main(['select', 'scores.parquet']);"
        "sys.exit(', '.join({'pandas', 'torch', 'scipy', 'onnxruntime'} & set(sys.modules)) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr.count("selected")) == (0, 2), run.stderr
