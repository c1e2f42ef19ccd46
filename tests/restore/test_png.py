from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from beholder.restore.png import write_png


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_others_read_what_is_written(channels: int, dtype: type, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (37, 23, channels), dtype, endpoint=True)
    with (tmp_path / "a.png").open("wb") as file:
        bits = 8 * pixels.itemsize
        write_png(file, np.split(pixels, [1, 5, 30]), size=(23, 37), n_channels=channels, bits=bits)
    read = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert read.dtype == dtype
    order = {1: [0], 2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    np.testing.assert_array_equal(read.reshape(37, 23, -1)[:, :, order], pixels)
    with Image.open(tmp_path / "a.png") as image:
        image.verify()


def test_profile_exif_and_text_are_found_again(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    with (tmp_path / "a.png").open("wb") as file:
        write_png(
            file,
            [np.zeros((2, 2, 3), np.uint8)],
            size=(2, 2),
            n_channels=3,
            bits=8,
            icc=b"profile" * 500,
            exif=exif.tobytes().removeprefix(b"Exif\0\0"),
            text={"beholder": '{"scale": 4}'},
        )
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert image.info["icc_profile"] == b"profile" * 500
        assert image.info["beholder"] == '{"scale": 4}'
        assert image.getexif()[0x010F] == "Maker"


def test_missing_rows_are_an_error(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file, pytest.raises(ValueError, match="2 rows came for a picture of 3"):
        write_png(file, [np.zeros((2, 2, 1), np.uint8)], size=(2, 3), n_channels=1, bits=8)
