from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")


def test_a_crowd_is_served_and_a_siege_is_sat_out(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import load

    monkeypatch.setattr(load, "PICTURES", 2)
    monkeypatch.setattr(load, "REQUEST_S", 5.0)
    monkeypatch.setattr(load, "CUT_OFF_S", 60.0)  # on a machine that is busy with other tests
    monkeypatch.setattr(load, "HONEST_S", 3.0)
    line = ["--model", str(tiny_model), "--clients", "12", "--seconds", "3", "--each", "2", "--results", str(tmp_path)]
    with ThreadPoolExecutor(1) as thread:  # not in this one, where tests of pages leave their event loop running
        thread.submit(load.main, line).result()
    result = json.loads((tmp_path / "load.json").read_text(encoding="utf-8"))
    assert result["measured"]["complaints"] == []
    for kind, measured in result["measured"]["loads"].items():
        assert set(measured["codes"]) <= {"200", "429"}, kind
        assert measured["codes"]["200"] > 0
    siege = result["measured"]["siege"]["answers"]
    assert set(siege["head that never ends"]) == {"closed"}
    assert "408" in siege["body that never ends"]
    assert "413" in siege["body announced too large"]


def test_memory_that_grows_is_seen() -> None:
    from load import Load

    flat, growing = Load(1, seconds=60), Load(1, seconds=60)
    flat.memory = [(float(i), 100 + i % 2) for i in range(60)]
    growing.memory = [(float(i), 100.0 + i) for i in range(60)]
    assert flat.growth == pytest.approx(1, abs=0.01)
    assert growing.growth > 1.2
    assert growing.slope_mb == pytest.approx(60)


def test_waits_and_shares_are_those_of_the_requests() -> None:
    from load import Load

    seen = Load(1, waits_s=list(np.linspace(0, 1, 101)))
    seen.codes.update({"200": 101, "429": 98, "500": 1})
    assert seen.wait_ms(0.5) == pytest.approx(500)
    assert seen.wait_ms(0.99) == pytest.approx(990)
    assert (seen.refused, round(seen.failed, 4)) == (0.49, 0.005)
