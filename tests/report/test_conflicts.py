from __future__ import annotations

from pathlib import Path

import pytest
from browser import faint_text, open_page

from beholder.errors import UserError
from beholder.report.conflicts import write_conflicts
from beholder.tical.conflicts import Conflicts, Sample, Shown

CLASSES = ["calm", "happy", "sad"]


def shown(told: str, typicality: float | None = None) -> Shown:
    return Shown(told, [0.8 if name == told else 0.1 for name in CLASSES], typicality)


def sample(name: str, voice: str, face: str | None, consistency: float, label: str = "") -> Sample:
    modalities = {"voice": shown(voice, 0.4), "face": None if face is None else shown(face, 0.9)}
    return Sample(name, "anna", label, shown(face or voice), modalities, consistency, consistency < 0.5, "voice, face")


@pytest.fixture
def found() -> Conflicts:
    samples = [
        sample("clip 2", "calm", "happy", 0.1, "calm"),
        sample("<b>clip 10", "sad", "happy", 0.2, "happy"),
        sample("clip 1", "sad", None, 0.6, "sad"),
    ]
    return Conflicts(CLASSES, samples, 9, 7, 0.7)


def test_all_samples_are_there_without_a_script(found: Conflicts, tmp_path: Path) -> None:
    size = write_conflicts(found, tmp_path / "page.html", table="t.npz", model="mine")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert size == len(page.encode())
    assert page.count('<li class="sample">') == 3
    assert "The 3 of 9 samples whose modalities agree least. By mine, from t.npz." in page
    assert "2 have fewer than two modalities" in page
    assert 'aria-label="voice: calm 80 %, happy 10 %, sad 10 %"' in page
    assert "&lt;b&gt;clip 10" in page
    assert "<b>" not in page
    assert page.count("typical 0.40") == 3
    assert "http" not in page.replace("http-equiv", "")


def test_numbers_have_no_bars_together(tmp_path: Path) -> None:
    one = Sample(
        "a", "", "", Shown("+1.5", []), {"voice": shown("sad", 0.1), "face": shown("calm", 0.2)}, 0.1, True, "x"
    )
    write_conflicts(Conflicts(CLASSES, [one], 1, 1, 0.1), tmp_path / "p.html", table="t", model="m")
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "together: <strong>+1.5</strong>" in page
    assert "otherwise than labelled" not in page


def test_nothing_to_disagree_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no sample of t\.npz has two modalities"):
        write_conflicts(Conflicts(CLASSES, [], 4, 0, None), tmp_path / "p.html", table="t.npz", model="m")


def test_samples_are_filtered_and_sorted_from_disk(found: Conflicts, tmp_path: Path) -> None:
    write_conflicts(found, tmp_path / "page.html", table="t.npz", model="mine")
    with open_page((tmp_path / "page.html").as_uri()) as page:

        def seen() -> list[str]:
            return page.locator(".sample:visible h3").all_text_contents()

        assert seen() == ["clip 2", "<b>clip 10", "clip 1"]
        page.get_by_label("voice shows").select_option("sad")
        assert seen() == ["<b>clip 10", "clip 1"]
        assert page.get_by_role("status").text_content() == "2 of 3 samples"
        page.get_by_label("Consistency at most").fill("0.5")
        assert seen() == ["<b>clip 10"]
        page.get_by_role("button", name="Clear").click()
        page.locator("#count", has_text="All 3 samples").wait_for()
        page.get_by_label("Sort by").select_option("name")
        assert seen() == ["<b>clip 10", "clip 1", "clip 2"]
        page.get_by_label("Only those told otherwise than labelled").check()
        assert seen() == ["clip 2"]
        page.get_by_role("button", name="Clear").click()
        page.locator("#count", has_text="All 3 samples").wait_for()
        assert faint_text(page) == []
