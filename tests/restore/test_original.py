from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import png_header, render
from PIL import Image, ImageCms

from beholder.imaging.open import UPRIGHT
from beholder.imaging.status import ImageError
from beholder.restore.original import Original, read_original


def read(path: Path) -> Original:
    return read_original(str(path), max_pixels=1_000_000)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_kept(suffix: str, channels: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (20, 30, channels), np.uint16)
    bgr = pixels[:, :, [2, 1, 0, 3][:channels]] if channels > 1 else pixels
    cv2.imwrite(str(tmp_path / f"deep{suffix}"), bgr)
    original = read(tmp_path / f"deep{suffix}")
    assert original.colour.dtype == np.uint16
    np.testing.assert_array_equal(original.colour, pixels[:, :, :3])
    if channels == 4:
        np.testing.assert_array_equal(original.alpha, pixels[:, :, 3:])


@pytest.mark.parametrize("mode", ["I;16", "RGB"])
def test_a_colour_of_sixteen_bits_may_be_the_transparent_one(mode: str, tmp_path: Path) -> None:
    channels = 3 if mode == "RGB" else 1
    pixels = np.random.default_rng(0).integers(0, 65536, (20, 30, channels), np.uint16)
    pixels[3:9, 4:20] = 1234
    pixels[3:9, 4:20, 0] = 515
    cv2.imwrite(str(tmp_path / "opaque.png"), pixels[:, :, ::-1])
    rest = (tmp_path / "opaque.png").read_bytes()
    at = rest.index(b"IDAT") - 4
    content = b"tRNS" + pixels[3, 4].astype(">u2").tobytes()
    chunk = struct.pack(">I", 2 * channels) + content + struct.pack(">I", zlib.crc32(content))
    (tmp_path / "deep.png").write_bytes(rest[:at] + chunk + rest[at:])
    original = read(tmp_path / "deep.png")
    np.testing.assert_array_equal(original.colour, pixels)
    assert original.alpha is not None
    expected = np.full((20, 30, 1), 65535, np.uint16)
    expected[3:9, 4:20] = 0
    np.testing.assert_array_equal(original.alpha, expected)
    with Image.open(tmp_path / "deep.png") as image:
        assert image.mode == mode


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(orientation: int, tmp_path: Path) -> None:
    scene = render(1, (40, 24))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    scene.save(tmp_path / "turned.png", exif=exif)
    original = read(tmp_path / "turned.png")
    upright = scene.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else scene
    np.testing.assert_array_equal(original.colour, np.asarray(upright))
    assert original.exif is not None
    assert dict(original.exif) == {0x010F: "Maker"}


def test_sizes_in_exif_are_those_of_the_result(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA002: 40, 0xA003: 24, 0x9003: "2026:01:02 03:04:05"})
    render(1, (40, 24)).save(tmp_path / "a.jpg", exif=exif)
    written = Image.Exif()
    written.load(read(tmp_path / "a.jpg").exif_bytes(160, 96))
    assert written.get_ifd(0x8769) == {0xA002: 160, 0xA003: 96, 0x9003: "2026:01:02 03:04:05"}


def test_the_layout_of_a_tiff_is_no_metadata(tmp_path: Path) -> None:
    render(1, (40, 24)).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={271: "Maker"})
    exif = read(tmp_path / "a.tif").exif
    assert exif is not None
    assert dict(exif) == {271: "Maker"}


@pytest.mark.parametrize(
    ("mode", "channels", "alpha"),
    [("1", 1, False), ("L", 1, False), ("LA", 1, True), ("P", 3, False), ("RGB", 3, False), ("RGBA", 3, True)],
)
def test_grey_stays_grey_and_alpha_stays_apart(mode: str, channels: int, alpha: bool, tmp_path: Path) -> None:
    render(1, (40, 24)).convert(mode).save(tmp_path / "a.png")
    original = read(tmp_path / "a.png")
    assert original.colour.shape == (24, 40, channels)
    assert (original.alpha is not None) == alpha


def test_a_transparent_palette_is_transparent(tmp_path: Path) -> None:
    render(1, (40, 24)).quantize(8).save(tmp_path / "a.png", transparency=0)
    alpha = read(tmp_path / "a.png").alpha
    assert alpha is not None
    assert set(np.unique(alpha)) == {0, 255}


def test_a_profile_stays_with_its_pixels_and_goes_where_they_are_converted(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    scene = render(1, (40, 24))
    scene.save(tmp_path / "a.jpg", icc_profile=profile)
    assert read(tmp_path / "a.jpg").icc == profile
    scene.convert("CMYK").save(tmp_path / "cmyk.jpg", icc_profile=b"not one")
    original = read(tmp_path / "cmyk.jpg")
    assert original.icc is None
    assert original.note is not None
    assert original.note.startswith("CMYK to sRGB; colour profile ignored")


def test_what_is_no_picture_has_a_status(nasty_folder: tuple[Path, dict[str, str]]) -> None:
    folder, expected = nasty_folder
    for name, status in expected.items():
        try:
            read(folder / name)
            found = "ok"
        except ImageError as error:
            found = error.status
        assert found == ("ok" if name == "tiny.png" else status), name


def test_sizes_out_of_bounds_are_refused_before_decoding(tmp_path: Path) -> None:
    render(1, (40, 15)).save(tmp_path / "low.png")
    with pytest.raises(ImageError, match="40 x 15 pixels; the shorter side must have 16 at least"):
        read(tmp_path / "low.png")
    (tmp_path / "bomb.png").write_bytes(png_header(1001, 1000))
    with pytest.raises(ImageError, match="1,001,000 pixels; allowed are 1,000,000"):
        read(tmp_path / "bomb.png")
    (tmp_path / "long.png").write_bytes(png_header(16, 65_536 - 4000))
    with pytest.raises(ImageError, match="damaged or truncated"):
        read_original(str(tmp_path / "long.png"), max_pixels=2_000_000)
    (tmp_path / "long.png").write_bytes(png_header(65_536, 16))
    with pytest.raises(ImageError, match="65536 x 16; a side has 65,535 pixels at most") as caught:
        read_original(str(tmp_path / "long.png"), max_pixels=2_000_000)
    assert caught.value.status == "too_large"


def test_numbers_without_a_white_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 20), 0.5, np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ImageError, match="floating-point") as caught:
        read(tmp_path / "float.tif")
    assert caught.value.status == "unsupported"
