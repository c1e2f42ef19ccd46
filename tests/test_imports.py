"""What is promised to people who only want to type `beholder`: it answers at once and loads next to nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import render
from tiny_model import write_tiny_checkpoint

HEAVY = {"torch", "transformers", "ray", "fsspec", "pandas", "scipy", "sklearn"}
CORE = {"onnxruntime", "pyarrow", "pydantic", "numpy", "PIL"}

IMPORT = "import beholder"
HELP = "from beholder.cli import main; main(['--help'])"
LOAD = "import beholder; beholder.load"
SCORE_HELP = "from beholder.cli import main; main(['score', '--help'])"


def loaded_by(code: str) -> set[str]:
    """Top-level modules in a fresh process that ran `code`."""
    code = f"import sys; {code}; print(*{{name.partition('.')[0] for name in sys.modules}}, file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stderr.split())


@pytest.mark.parametrize("code", [IMPORT, HELP])
def test_import_and_help_load_nothing_heavy(code: str) -> None:
    assert loaded_by(code) & (HEAVY | CORE) == set()


@pytest.mark.parametrize("code", [LOAD, SCORE_HELP])
def test_scoring_loads_the_core_only(code: str) -> None:
    assert loaded_by(code) & HEAVY == set()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three pictures, one of them damaged, and a model in `model`."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(2):
        render(i, (64, 64)).save(folder / f"{i}.jpg")
    (folder / "empty.jpg").touch()
    write_tiny_checkpoint(folder / "model")
    return folder


def test_the_process_that_waits_for_the_workers_loads_no_model_runtime(pictures: Path) -> None:
    code = f"from beholder.cli import main; main(['score', {str(pictures)!r}, '--model', {str(pictures / 'model')!r}])"
    loaded = loaded_by(f"import io; sys.stderr = io.StringIO(); {code}; sys.stderr = sys.__stderr__")
    assert "pyarrow" in loaded
    assert loaded & (HEAVY | {"onnxruntime"}) == set()


@pytest.mark.parametrize("name", [None, "scores.parquet", "scores.csv", "scores.jsonl"])
def test_the_command_leaves_pandas_alone_where_it_is_installed(
    name: str | None, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "pandas.py").write_text("raise RuntimeError('pandas was imported')\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "beholder", "score", "--model", str(pictures / "model"), "--max-bad", "1"]
    first = ["--sort", "-quality"] if name is None else ["--sort", "-quality", "-o", str(tmp_path / name)]
    again = [] if name is None else [["--retry-failed", "-o", str(tmp_path / name)]]
    for arguments in ([str(pictures), *first], *again):
        run = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, env=environment)
        assert (run.returncode, "3 pictures: 2 ok" in run.stderr) == (0, True), run.stderr


@pytest.mark.parametrize(("code", "limit_s"), [(IMPORT, 0.3), (HELP, 0.5)])
def test_import_and_help_answer_at_once(code: str, limit_s: float) -> None:
    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start

    # The best of some: a busy machine only ever adds time.
    assert any(seconds() < limit_s for _ in range(20))
