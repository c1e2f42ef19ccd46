from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rendered_clips import EMOTIONS, draw_face

pytest.importorskip("skimage", reason="needs the extra emotion")

from PIL import Image

from beholder.errors import UserError
from beholder.extract.hog import Config, fit, gradients, measure, project
from beholder.extract.limits import ExtractError
from beholder.extract.picture import square


def test_a_grey_face_of_48_pixels_is_taken_as_it_is() -> None:
    from skimage.feature import hog

    grey = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    found = gradients(np.repeat(grey[:, :, None], 3, axis=2))
    assert found.shape == (800,)
    assert np.array_equal(found, hog(grey, orientations=8, pixels_per_cell=(8, 8), cells_per_block=(2, 2)))


def test_the_middle_square_of_a_wide_picture_is_the_face() -> None:
    face = np.asarray(draw_face("happy", np.random.default_rng(0)).convert("RGB"))
    wide = np.pad(face, ((0, 0), (40, 40), (0, 0)), constant_values=255)
    assert np.array_equal(np.asarray(square(wide, 48)), np.asarray(square(face, 48)))


def test_components_come_from_the_samples_given_and_tell_drawn_faces_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    faces = [draw_face(e, rng) for e in EMOTIONS for _ in range(8)]
    measured = [measure(face.convert("RGB"), Config()) for face in faces]
    learnt = fit(measured[::2], Config(components=5))
    assert learnt.arrays["components"].shape == (5, 800)
    x = project(measured, Config(components=5), learnt)
    np.testing.assert_allclose(x[::2].mean(axis=0), 0, atol=1e-9)
    means = x[::2].reshape(3, 4, -1).mean(axis=1)
    nearest = np.linalg.norm(x[1::2, None] - means, axis=2).argmin(axis=1)
    assert (nearest == np.repeat(range(3), 4)).mean() > 0.9
    with pytest.raises(UserError, match="two are needed"):
        fit(measured[:1], Config())


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [("a.png", b"no picture", "a.png"), ("b.jpg", b"", "0 bytes"), ("c.png", None, "not there")],
)
def test_what_is_no_picture_says_why(name: str, content: bytes | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ExtractError, match=says):
        measure(tmp_path / name, Config())


def test_a_picture_too_small_or_too_large_is_refused(tmp_path: Path) -> None:
    Image.new("L", (20, 20)).save(tmp_path / "small.png")
    Image.new("1", (9000, 9000)).save(tmp_path / "large.png")
    for name in ("small", "large"):
        with pytest.raises(ExtractError):
            measure(tmp_path / f"{name}.png", Config())
