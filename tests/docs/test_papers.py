"""The paper index names functions that exist, and leaves out none that carries an equation of an engine."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "papers.md"
NAMES = sorted(set(re.findall(r"`(beholder(?:\.\w+)+)`", PAGE.read_text(encoding="utf-8"))))

EXTRAS = {"geoopt", "onnx", "scipy", "sklearn", "torch", "transformers", "trl", "piq", "vector_quantize_pytorch", "cv2"}


@pytest.mark.parametrize("name", NAMES)
def test_every_function_of_the_paper_index_exists(name: str) -> None:
    parts = name.split(".")
    for n_module in range(len(parts), 1, -1):
        module = ".".join(parts[:n_module])
        try:
            found = import_module(module)
        except ModuleNotFoundError as error:
            if error.name in EXTRAS:
                pytest.skip(f"needs {error.name}")
            if error.name != module:
                raise
            continue
        for attribute in parts[n_module:]:
            found = getattr(found, attribute)
        return
    raise AssertionError(f"{name} is no module")


@pytest.mark.parametrize(
    "drawer",
    [
        *("uniqa.head", "uniqa.loss", "uniqa.purify", "uniqa.views"),
        *("tatar.ranking", "tatar.rewards", "tatar.answer", "tatar.number", "tatar.level"),
        *("alignvar.sca", "alignvar.hcc", "alignvar.loss", "alignvar.pyramid", "alignvar.degrade", "alignvar.rotary"),
        *("tical.anchors", "tical.consistency", "tical.geometry", "tical.attribution", "tical.network"),
        *("evaluate.correlation", "evaluate.bootstrap", "evaluate.logistic", "mini.levels"),
    ],
)
def test_every_drawer_that_holds_equations_is_in_the_index(drawer: str) -> None:
    assert any(name.startswith(f"beholder.{drawer}") for name in NAMES)
