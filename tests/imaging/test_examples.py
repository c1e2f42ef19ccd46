from pathlib import Path

import pytest

from beholder.imaging.open import open_image

FOLDER = Path(__file__).parents[2] / "examples"
PICTURES = sorted(FOLDER.glob("*.jpg"))


def test_every_damaged_example_has_its_clean_scene():
    scenes = {path.stem for path in PICTURES if "_" not in path.stem}
    damaged = [path.stem.partition("_")[0] for path in PICTURES if "_" in path.stem]
    assert len(scenes) == 6
    assert set(damaged) == scenes


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_examples_open_without_a_note_and_are_small(path):
    picture = open_image(path)
    assert (picture.width, picture.height, picture.note) == (640, 480, None)
    assert path.stat().st_size < 200_000
