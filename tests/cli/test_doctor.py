from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from tiny_model import write_tiny_checkpoint

from beholder.cli import main
from beholder.cli.installed import EXTRAS, needs
from beholder.restore.upscaler import EMBEDDED
from beholder.scoring.table import MODELS

ROOT = Path(__file__).resolve().parents[2]

LINES = [
    "numpy>=2.0",
    "pillow>=11.0,<900",
    "no-such-package>=1.0; extra == 'data'",
    "pyarrow>=900.1; extra == 'data'",
    "beholder[data]; extra == 'all'",
    "rich; extra == 'all'",
]


def test_needs_are_those_of_the_core_or_of_an_extra_with_the_extras_that_it_names() -> None:
    assert [(need.name, need.fits) for need in needs("", LINES)] == [("numpy", True), ("pillow", True)]
    missing, old, plain = needs("all", LINES)
    assert str(missing) == "no-such-package is not installed"
    assert str(old) == f"pyarrow {version('pyarrow')}, needed is >=900.1"
    assert (plain.name, plain.fits, plain.wanted) == ("rich", True, "")


def test_every_extra_for_users_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"]) - {"test", "all"}


def test_every_model_is_tried_and_all_is_well_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    tiny = str(write_tiny_checkpoint(tmp_path / "tiny"))
    assert main(["doctor", tiny, "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    tried = {finding["what"]: finding["state"] for finding in findings if finding["section"] == "Models"}
    assert tried == dict.fromkeys([*(row.name for row in MODELS), *EMBEDDED, tiny], "ok")
    assert {finding["what"] for finding in findings if finding["section"] == "Extras"} == set(EXTRAS)
    assert {finding["section"] for finding in findings} == {"Core", "Extras", "Devices", "Models"}


def test_a_model_that_is_damaged_is_broken_and_the_exit_code_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beholder.restore.upscaler.EMBEDDED", {})
    tiny = write_tiny_checkpoint(tmp_path / "tiny")
    (tiny / "tiny.onnx").write_bytes(b"damaged")
    assert main(["doctor", str(tiny)]) == 1
    [line] = [line for line in capsys.readouterr().out.splitlines() if str(tiny) in line]
    assert line.startswith("  broken")
    assert "is not the file its card describes" in line


def test_without_torch_it_says_what_to_install_and_looks_for_none() -> None:
    code = """
import importlib.util, sys
whole = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == 'torch' else whole(name, *more)
from beholder.cli import installed, main
look = installed.version
def version(name):
    if name == 'torch':
        raise installed.PackageNotFoundError(name)
    return look(name)
installed.version = version
code = main(['doctor'])
print('torch' in sys.modules)
sys.exit(code)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    shown = run.stdout.splitlines()
    assert shown[-1] == "False"
    assert any(line.split()[:2] == ["missing", "alignvar-nano"] for line in shown)
    assert any(line.split()[:2] == ["missing", "train"] and "lacks torch" in line for line in shown)
    assert any(line.split()[:2] == ["ok", "beholder-mini"] for line in shown)
    assert shown[shown.index("For more") + 1] == "  pip install 'beholder[restore]'"
