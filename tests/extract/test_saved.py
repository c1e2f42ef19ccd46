from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("skimage", reason="needs the extra emotion")

from rendered_clips import EMOTIONS, draw_face, say

from beholder.errors import UserError
from beholder.extract import table
from beholder.extract.limits import need
from beholder.extract.saved import read_extractors, save_extractors
from beholder.extract.table import EXTRACTORS, Extractor, extractor, parse


@pytest.fixture
def fitted() -> dict[str, tuple[Extractor, list[object]]]:
    rng = np.random.default_rng(0)
    faces = [draw_face(e, rng).convert("RGB") for e in EMOTIONS for _ in range(3)]
    texts = [say(e, rng) for e in EMOTIONS for _ in range(5)]
    out: dict[str, tuple[Extractor, list[object]]] = {}
    for m, name, sources in (("face", "hog_pca", faces), ("text", "tfidf_svd", texts)):
        one = extractor(name, {"components": 4})
        measured: list[object] = [one.measure(source) for source in sources]  # type: ignore[arg-type]
        out[m] = (one.fit(measured), measured)  # type: ignore[arg-type]
    return out


def test_saved_extractors_give_exactly_the_same_features(
    fitted: dict[str, tuple[Extractor, list[object]]], tmp_path: Path
) -> None:
    save_extractors({m: one for m, (one, _) in fitted.items()}, tmp_path)
    again = read_extractors(tmp_path)
    assert list(again) == ["face", "text"]
    assert not list(tmp_path.glob("*.pkl"))
    for m, (one, measured) in fitted.items():
        assert (again[m].row.name, again[m].width, again[m].config) == (one.row.name, 4, one.config)
        assert np.array_equal(again[m].features(measured), one.features(measured))  # type: ignore[arg-type]


def test_another_version_of_an_extractor_is_refused(
    fitted: dict[str, tuple[Extractor, list[object]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_extractors({m: one for m, (one, _) in fitted.items()}, tmp_path)
    newer = tuple(replace(row, version=row.version + 1) if row.name == "hog_pca" else row for row in EXTRACTORS)
    monkeypatch.setattr("beholder.extract.saved.EXTRACTORS", newer)
    with pytest.raises(UserError, match="reads face by hog_pca 1, and this beholder has hog_pca 2"):
        read_extractors(tmp_path)


@pytest.mark.parametrize("change", ["arrays", "json", "unknown"])
def test_damaged_files_are_refused(
    change: str, fitted: dict[str, tuple[Extractor, list[object]]], tmp_path: Path
) -> None:
    save_extractors({m: one for m, (one, _) in fitted.items()}, tmp_path)
    file = tmp_path / "extractors.json"
    if change == "arrays":
        arrays = tmp_path / "extractors.safetensors"
        arrays.write_bytes(arrays.read_bytes()[:-1] + b"x")
    elif change == "json":
        file.write_text("[]")
    else:
        stored = json.loads(file.read_text())
        stored["modalities"]["face"]["extractor"] = "pickle"
        file.write_text(json.dumps(stored))
    with pytest.raises(UserError, match=r"damaged|is not the file|no extractor is called 'pickle'"):
        read_extractors(tmp_path)


def test_a_folder_of_features_has_no_extractors(tmp_path: Path) -> None:
    assert read_extractors(tmp_path) == {}


def test_an_extractor_is_named_with_its_settings() -> None:
    m, one = parse("face=hog_pca:components=16,frames=2")
    assert (m, one.row.name, one.config.model_dump()) == ("face", "hog_pca", {"components": 16, "frames": 2})
    assert parse("voice=egemaps")[1].row.package == "opensmile"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("face", "MODALITY=NAME is needed"),
        ("face=", "MODALITY=NAME is needed"),
        ("face=resnet", "there are logmel_stats, egemaps, hog_pca"),
        ("face=hog_pca:size=3", "its settings are components, frames"),
        ("face=hog_pca:components", "no SETTING=VALUE"),
        ("face=hog_pca:components=0", "greater than or equal to 1"),
        ("text=text_network", "model: Field required"),
    ],
)
def test_what_cannot_be_meant_is_explained(words: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse(words)


def test_a_missing_package_names_its_extra_and_its_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    row = replace(table.row_of("egemaps"), package="no_such_package")
    with pytest.raises(UserError, match=r"pip install '\.\[opensmile\]' \(openSMILE is for non-commercial use"):
        replace(extractor("egemaps", {}), row=row).check_installed()
    need("numpy", "emotion", "nothing")


def test_names_are_unique_and_every_row_has_what_it_names() -> None:
    assert len({row.name for row in EXTRACTORS}) == len(EXTRACTORS)
    for row in EXTRACTORS:
        module = __import__(row.home, fromlist=["Config"])
        assert all(
            hasattr(module, name) for name in ("Config", row.measure, row.fit or "Config", row.project or "Config")
        )
