"""What is promised to people who only want to type `beholder`: it answers at once and loads next to nothing."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HEAVY = {"torch", "transformers", "ray", "pandas", "scipy", "sklearn"}
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


@pytest.mark.parametrize(("code", "limit_s"), [(IMPORT, 0.3), (HELP, 0.5)])
def test_import_and_help_answer_at_once(code: str, limit_s: float) -> None:
    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start

    # The best of several: a busy machine only ever adds time.
    assert min(seconds() for _ in range(5)) < limit_s
