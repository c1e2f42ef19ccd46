from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import render
from PIL import Image

from beholder.alignvar import folder as model_folder
from beholder.alignvar.config import SIZES
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.transformer import AlignVar
from beholder.cli import main
from beholder.cli.upscale_progress import Pace, show_progress
from beholder.restore.rows import Row
from beholder.restore.run import Progress

TILE = SIZES["tiny"].tile


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model of random weights, as training leaves it."""
    torch.manual_seed(0)
    config = SIZES["tiny"]
    folder = tmp_path_factory.mktemp("tiny") / "model"
    model_folder.save(AlignVar(config).eval(), Tokeniser(config.tokeniser).eval(), folder)
    return folder


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos/sea").mkdir(parents=True)
    render(1, (36, 33)).save("photos/a.png")
    render(2, (40, 32)).convert("L").save("photos/sea/b.png")
    return Path("photos")


def test_a_folder_is_enlarged_by_a_trained_model(photos: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upscale", "photos", "-o", "out", "--model", str(model), "--report", "page.html"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"1 of 2, about \d+:\d\d left: photos/a.png ok\n", err)
    assert "2 pictures: 2 ok | 0.04 megapixels in " in err
    assert "wrote out\n" in err
    assert Image.open("out/a_x4.png").size == (144, 132)
    assert (Image.open("out/sea/b_x4.png").size, Image.open("out/sea/b_x4.png").mode) == ((160, 128), "L")
    assert "photos/a.png" in Path("page.html").read_text(encoding="utf-8")
    first = Path("out/a_x4.png").read_bytes()
    assert main(["upscale", "photos", "-o", "out", "--model", str(model)]) == 0
    assert "2 pictures: 2 skipped | nothing to enlarge" in capsys.readouterr().err
    assert main(["upscale", "photos/a.png", "-o", "again.png", "--model", str(model)]) == 0
    assert Path("again.png").read_bytes() == first


def test_the_batch_of_tiles_does_not_show(photos: Path, model: Path) -> None:
    for n in ("1", "64"):
        assert main(["upscale", "photos", "-o", n, "--model", str(model), "--batch-size", n, "--decode", "soft"]) == 0
    one, many = (np.asarray(Image.open(f"{n}/a_x4.png")).astype(int) for n in ("1", "64"))
    assert np.abs(one - many).max() <= 1


def test_draws_follow_from_the_seed(photos: Path, model: Path) -> None:
    for name, seed in (("one", "1"), ("same", "1"), ("two", "2")):
        options = ["--decode", "sample", "--seed", seed, "--fidelity", "0", "--colour-fix", "none"]
        assert main(["upscale", "photos/a.png", "-o", f"{name}.png", "--model", str(model), *options]) == 0
    one, same, two = (np.asarray(Image.open(f"{name}.png")) for name in ("one", "same", "two"))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, two)


def test_too_many_failures_are_told_by_the_exit_code(
    photos: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    command = ["upscale", "photos", "-o", "out", "--model", str(model)]
    assert main(command) == 2
    err = capsys.readouterr().err
    assert "not enlarged, 1:\n  unreadable  photos/broken.jpg: damaged or truncated JPEG" in err
    assert main([*command, "--max-bad", "1"]) == 0


def test_where_all_failed_a_report_says_so(photos: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad").mkdir()
    Path("bad/broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert main(["upscale", "bad", "-o", "out", "--model", str(model), "--report", "page.html"]) == 2
    assert "wrote page.html" in capsys.readouterr().err
    assert "<code>bad/broken.jpg</code>" in Path("page.html").read_text(encoding="utf-8")


def test_a_report_never_replaces_a_picture(photos: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (photos / "a.png").rename("a.html")
    before = page.read_bytes()
    assert main(["upscale", "a.html", "-o", "out", "--model", str(model), "--report", "photos/../a.html"]) == 1
    assert "is a picture to be enlarged" in capsys.readouterr().err
    assert page.read_bytes() == before


def test_what_was_done_to_a_picture_is_told(photos: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenes = [render(i, (32, 32)) for i in range(3)]
    scenes[0].save(photos / "moving.gif", save_all=True, append_images=scenes[1:])
    assert main(["upscale", "photos", "-o", "out", "--model", str(model)]) == 0
    assert "with a note, 1:\n  photos/moving.gif: animated: first of 3 frames\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "this release has no embedded weights for upscaling"),
        (["--model", "nowhere"], "--model nowhere: no such folder"),
        (["--tile", "big"], "--tile big: allowed are auto and whole numbers"),
        (["--scale", "40"], "--scale 40: allowed are 1 to 8"),
        (["--device", "gpu"], "--device gpu: "),
        (["--report", "page.txt"], "can't write page.txt: a report is a page"),
        (["--tile", "3000"], "--tile 3000: this model's tile has"),
        (["--report", "photos/a.png"], "can't write photos/a.png: a report is a page"),
        (["--timeout", "inf"], "--timeout inf: allowed are seconds above 0, 86,400 at most"),
        (["--decode", "sample", "--seed", str(2**63)], f"--seed {2**63}: allowed are whole numbers from 0"),
        (["--seed", "-1"], "--seed -1: allowed are whole numbers from 0"),
        (["--device", "meta"], "--device meta: "),
    ],
)
def test_a_mistake_ends_as_one_line_and_makes_nothing(
    photos: Path,
    model: Path,
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("beholder.restore.upscaler.EMBEDDED", {"alignvar-nano": Path("nothing")})
    given = [] if not options or "--model" in options else ["--model", str(model)]
    assert main(["upscale", "photos", "-o", "out", *given, *options]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"beholder: {message}")
    assert err.count("\n") == 1
    assert not Path("out").exists()


def test_a_model_with_damaged_weights_is_refused(photos: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = Path("damaged")
    damaged.mkdir()
    for file in model.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes()[: -1 if file.suffix == ".safetensors" else None])
    assert main(["upscale", "photos", "-o", "out", "--model", "damaged"]) == 1
    assert "is not the file that config.json describes" in capsys.readouterr().err
    assert not Path("out").exists()


def test_ctrl_c_keeps_what_is_finished(photos: Path, model: Path) -> None:
    render(3, (400, 400)).save("photos/b_large.png")  # folders come after files
    command = [sys.executable, "-m", "beholder", "upscale", "photos", "-o", "out", "--model", str(model)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    while not list(Path("out").glob("a_x4.png")) and run.poll() is None:
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate()
    assert run.returncode == 130, err
    assert err.endswith("beholder: stopped. Finished pictures are kept: the same command goes on from there.\n")
    assert sorted(path.name for path in Path("out").rglob("*") if path.is_file()) == ["a_x4.png"]


def test_help_loads_no_torch() -> None:
    code = "import sys; from beholder.cli import main; main(['upscale', '--help']); sys.exit('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0
    assert "may be invented" in " ".join(run.stdout.split())


def test_the_time_left_counts_pictures_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pace = Pace()
    assert pace.describe(Progress(0, 3, 0, 0, 0, None)) == "0 of 3"
    assert pace.describe(Progress(0, 3, 0, 0, 40, None)) == "0 of 3, tile 0 of 40"
    now = 110.0
    assert pace.describe(Progress(0, 3, 0, 10, 40, None)) == "0 of 3, tile 10 of 40, about 1:50 left"
    now = 140.0
    pace.describe(Progress(0, 3, 0, 40, 40, None))
    assert pace.describe(Progress(1, 3, 0, 0, 0, Row("a", None, "ok"))) == "1 of 3, about 1:20 left"
    assert pace.describe(Progress(2, 3, 1, 0, 0, Row("b", None, "unreadable"))) == "2 of 3, 1 failed, about 0:40 left"


def test_a_terminal_gets_a_bar() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with show_progress(stream) as on_progress:
        on_progress(Progress(0, 2, 0, 5, 10, None))
    assert "0 of 2, tile 5 of 10" in stream.getvalue()


def test_half_precision_is_told_in_the_result_and_refused_where_it_is_slower(
    photos: Path, model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["upscale", "photos/a.png", "-o", "half.png", "--model", str(model), "--half"]
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert main(arguments) == 1
    assert "--half: cpu computes 16 bits slower than 32, or not at all" in capsys.readouterr().err
    assert not Path("half.png").exists()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert main(arguments) == 0
    assert '"precision": "bfloat16"' in Image.open("half.png").info["beholder"]
