"""A CPU without the instructions is told from one that has them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from beholder.training.precision import computes_bfloat16  # noqa: E402


@pytest.mark.parametrize(
    ("capabilities", "fast"),
    [({}, False), ({"avx2": True, "avx512_bf16": False}, False), ({"avx512_bf16": True}, True), ({"bf16": True}, True)],
)
def test_a_cpu_computes_bfloat16_where_it_has_instructions_for_it(
    capabilities: dict[str, bool], fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert computes_bfloat16("cpu") is fast


def test_nothing_is_promised_of_other_devices() -> None:
    assert not computes_bfloat16("mps")
