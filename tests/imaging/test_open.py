import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from beholder.imaging.fit import Fit
from beholder.imaging.open import MIN_SIDE, open_image
from beholder.imaging.status import ImageError

SIZE = (120, 90)


def status_of(path: Path) -> str:
    try:
        open_image(path)
    except ImageError as err:
        return err.status
    return "ok"


def corners(rgb: np.ndarray) -> list[str]:
    """Colour names at top left, top right, bottom left, bottom right."""
    names = {(255, 0, 0): "red", (0, 255, 0): "green", (0, 0, 255): "blue", (255, 255, 255): "white"}
    return [names[tuple(int(v) // 128 * 255 for v in rgb[y, x])] for y in (4, -5) for x in (4, -5)]


def four_corners(size: tuple[int, int] = SIZE) -> Image.Image:
    """Red, green / blue, white: any rotation or mirroring shows."""
    image = Image.new("RGB", (2, 2))
    for at, colour in zip(((0, 0), (1, 0), (0, 1), (1, 1)), ("red", "lime", "blue", "white"), strict=True):
        image.paste(colour, (*at, at[0] + 1, at[1] + 1))
    return image.resize(size, Image.Resampling.NEAREST)


def mean_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def test_every_nasty_file_gets_its_status(nasty_folder):
    folder, expected = nasty_folder
    assert {name: status_of(folder / name) for name in expected} == expected


def test_every_error_says_why_in_one_line(nasty_folder):
    folder, expected = nasty_folder
    for name in (name for name, status in expected.items() if status != "ok"):
        with pytest.raises(ImageError) as caught:
            open_image(folder / name)
        assert str(caught.value).strip(), name
        assert "\n" not in str(caught.value), name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.jpg", "empty"),
        ("zeros.jpg", "zero bytes"),
        ("truncated.jpg", "truncated"),
        ("text.jpg", "not a picture: named .jpg"),
        ("error_page.jpg", "HTML"),
        ("phone.heic", "HEIC"),
        ("drawing.svg", "SVG"),
        ("camera.nef", "NEF"),
        ("dangling.jpg", "broken link: it points to 'no such target.jpg'"),
        ("pipe.jpg", "pipe"),
        ("folder.jpg", "folder"),
        ("missing.jpg", "no such file"),
        ("bomb.png", "3,600,000,000 pixels"),
        ("tiny.png", "40 x 31"),
        ("nul\0byte.jpg", "not a possible file name"),
    ],
)
def test_the_reason_is_named(nasty_folder, name, reason):
    with pytest.raises(ImageError, match=reason.replace("(", r"\(")):
        open_image(f"{nasty_folder[0]}/{name}")


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("plain.jpg", None),
        ("animated.gif", "animated: first of 3 frames"),
        ("animated.webp", "animated: first of 2 frames"),
        ("animated.png", "animated: first of 2 frames"),
        ("deep.png", "16-bit to 8-bit"),
        ("gif_inside.jpg", "GIF named .jpg"),
    ],
)
def test_what_was_done_to_a_readable_picture_is_noted(nasty_folder, name, note):
    assert open_image(nasty_folder[0] / name).note == note


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_exif_orientation_brings_the_picture_upright(tmp_path, orientation, kind):
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = four_corners()
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"a.{kind}", exif=exif)
    picture = open_image(tmp_path / f"a.{kind}")
    assert (picture.width, picture.height) == SIZE
    assert picture.rgb.shape == (SIZE[1], SIZE[0], 3)
    assert corners(picture.rgb) == ["red", "green", "blue", "white"]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_does_not_lose_the_picture(tmp_path):
    four_corners().save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert corners(open_image(tmp_path / "a.jpg").rgb)[0] == "red"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "I", "F", "RGBX"])
def test_every_pillow_mode_looks_like_the_same_grey_ramp(mode):
    ramp = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (64, 1))
    grey = Image.fromarray(ramp)
    tolerance = 2
    if mode == "1":
        ramp = (ramp > 127).astype(np.uint8) * 255
        image = Image.fromarray(ramp > 0)
    elif mode in ("I", "I;16"):
        image = Image.fromarray(ramp.astype(np.int32 if mode == "I" else np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray(ramp.astype(np.float32) / 255)
    elif mode == "LAB":
        to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        image = ImageCms.applyTransform(grey.convert("RGB"), to_lab)
    elif mode == "HSV":
        image = grey.convert("RGB").convert("HSV")
    else:
        image = grey.convert(mode)
    assert image.mode == mode
    rgb = open_image(image).rgb
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    for channel in range(3):
        assert np.abs(rgb[..., channel].astype(int) - ramp).max() <= tolerance


def test_adobe_cmyk_jpeg_is_not_inverted(tmp_path):
    four_corners().convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert corners(open_image(tmp_path / "a.jpg").rgb) == ["red", "green", "blue", "white"]


@pytest.mark.parametrize("fit", [None, Fit(area=60 * 60, min_side=32)])
def test_transparency_shows_white_and_hidden_colours_do_not_bleed(fit):
    image = Image.new("RGBA", SIZE, (255, 0, 0, 0))  # invisible red
    image.paste((0, 0, 255, 255), (0, 0, 60, 90))
    rgb = open_image(image, fit=fit).rgb
    assert rgb[5, 5].tolist() == [0, 0, 255]
    assert rgb[5, -5].tolist() == [255, 255, 255]
    assert (rgb[..., 0] == rgb[..., 1]).all(), "red shines through"


def test_transparent_palette_colour_is_white(tmp_path):
    image = Image.new("P", SIZE, 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (0, 0, 60, 90))
    image.save(tmp_path / "a.png", transparency=0)
    rgb = open_image(tmp_path / "a.png").rgb
    assert rgb[5, 5].tolist() == [0, 0, 255]
    assert rgb[5, -5].tolist() == [255, 255, 255]


def swapped_profile() -> bytes:
    """sRGB's profile with the red and blue primaries exchanged: a picture tagged with it has red and blue exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_colour_profile_is_applied(tmp_path, kind):
    four_corners().save(tmp_path / f"a.{kind}", icc_profile=swapped_profile(), quality=95)
    picture = open_image(tmp_path / f"a.{kind}")
    assert corners(picture.rgb) == ["blue", "green", "red", "white"]
    assert picture.note is None


def test_srgb_profile_leaves_pixels_as_they_are(tmp_path, render_picture):
    scene = render_picture(3, SIZE)
    scene.save(tmp_path / "a.png", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert np.array_equal(open_image(tmp_path / "a.png").rgb, np.asarray(scene))


def test_srgb_profile_on_a_grey_picture_is_fine(tmp_path, render_picture):
    grey = render_picture(3, SIZE).convert("L")
    grey.save(tmp_path / "a.png", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    picture = open_image(tmp_path / "a.png")
    assert picture.note is None
    assert mean_difference(picture.rgb[..., 1], np.asarray(grey)) < 1


@pytest.mark.parametrize("profile", [b"garbage", swapped_profile()[:200]])
def test_broken_colour_profile_is_ignored_and_noted(tmp_path, profile):
    four_corners().save(tmp_path / "a.png", icc_profile=profile)
    picture = open_image(tmp_path / "a.png")
    assert corners(picture.rgb) == ["red", "green", "blue", "white"]
    assert "colour profile ignored" in picture.note


def test_profile_for_other_pixels_is_ignored_and_noted(tmp_path):
    four_corners().convert("CMYK").save(tmp_path / "a.tif", icc_profile=swapped_profile())
    picture = open_image(tmp_path / "a.tif")
    assert corners(picture.rgb) == ["red", "green", "blue", "white"]
    assert picture.note == "colour profile ignored: it is for RGB, the picture is CMYK"


def test_fit_sets_the_view_and_size_stays_the_pictures(tmp_path, render_picture):
    render_picture(4, (900, 600)).save(tmp_path / "a.jpg")
    picture = open_image(tmp_path / "a.jpg", fit=Fit(area=200 * 200))
    assert (picture.width, picture.height) == (900, 600)
    assert picture.rgb.shape == (163, 245, 3)


def test_upscaled_and_squeezed_pictures_are_noted(render_picture):
    assert open_image(render_picture(4, (40, 32)), fit=Fit()).note == "upscaled from 40x32"
    note = open_image(render_picture(4, (6000, 32)), fit=Fit()).note
    assert note == "aspect ratio changed: 6000x32 seen as 4096x64"


def test_note_speaks_of_the_upright_picture(tmp_path, render_picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    render_picture(4, (40, 32)).save(tmp_path / "a.png", exif=exif)
    assert open_image(tmp_path / "a.png", fit=Fit()).note == "upscaled from 32x40"


def test_reduced_jpeg_decoding_hardly_changes_the_view(tmp_path, render_picture):
    """The decoder's own shrinking must stay close to shrinking all pixels, in colour and in fine detail."""
    render_picture(5, (1600, 1200)).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    fit = Fit(area=200 * 150)
    view = open_image(tmp_path / "a.jpg", fit=fit).rgb
    full = Image.open(tmp_path / "a.jpg").resize((200, 150), Image.Resampling.BICUBIC)
    assert mean_difference(view, np.asarray(full)) < 1.0
    assert np.diff(view.astype(float), axis=1).std() == pytest.approx(
        np.diff(np.asarray(full, float), axis=1).std(), rel=0.05
    )


def test_path_string_pillow_image_and_array_agree(tmp_path, render_picture):
    path = tmp_path / "a.png"
    render_picture(6, SIZE).save(path)
    by_path = open_image(path).rgb
    with Image.open(path) as lazy:
        for other in (str(path), lazy, np.asarray(lazy)):
            assert np.array_equal(open_image(other).rgb, by_path)


def test_a_pillow_image_is_left_as_it_was(tmp_path, render_picture):
    render_picture(6, (800, 600)).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        open_image(image, fit=Fit(area=64 * 64))
        assert image.size == (800, 600)


def test_arrays_of_every_allowed_kind_look_the_same(render_picture):
    rgb = np.asarray(render_picture(7, SIZE))
    same = {
        "uint16": rgb.astype(np.uint16) * 257,
        "float64": rgb / 255,
        "float16": (rgb / 255).astype(np.float16),
        "opaque": np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)]),
        "not contiguous": np.asfortranarray(rgb),
    }
    for name, array in same.items():
        assert np.abs(open_image(array).rgb.astype(int) - rgb).max() <= (name == "float16"), name
    grey = rgb[..., 0]
    for array in (grey, grey[..., None]):
        assert np.array_equal(open_image(array).rgb, np.dstack([grey] * 3))


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros((3, 64, 64), np.uint8), ValueError, "channels-first"),
        (np.zeros((64, 64, 2), np.uint8), ValueError, r"shape \(64, 64, 2\)"),
        (np.zeros(64, np.uint8), ValueError, "not a picture"),
        (np.full((64, 64, 3), 200.0), ValueError, "from 200 to 200; allowed is 0 to 1"),
        (np.full((64, 64, 3), np.nan), ValueError, "nan"),
        (np.zeros((64, 64, 3), np.int64), TypeError, "int64"),
        (np.zeros((64, 64), bool), TypeError, "bool"),
        ([[1, 2], [3, 4]], TypeError, "not list"),
    ],
)
def test_other_arrays_are_refused_with_what_is_allowed(array, error, message):
    with pytest.raises(error, match=message):
        open_image(array)


def test_float_picture_without_a_white_is_unsupported(tmp_path):
    Image.fromarray(np.full((64, 64), 700.0, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="from 700 to 700") as caught:
        open_image(tmp_path / "a.tif")
    assert caught.value.status == "unsupported"


def test_a_tiff_that_is_only_a_raw_files_preview_is_unsupported(tmp_path, render_picture):
    render_picture(8, SIZE).save(tmp_path / "a.tif", tiffinfo={254: 1})
    assert status_of(tmp_path / "a.tif") == "unsupported"


@pytest.mark.parametrize("limit", [99 * 100, 100 * 100])
def test_max_pixels_is_the_largest_size_allowed(tmp_path, limit):
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    for source in (tmp_path / "a.png", Image.new("L", (100, 100)), np.zeros((100, 100), np.uint8)):
        if limit < 100 * 100:
            with pytest.raises(ImageError, match=r"10,000 pixels; allowed are 9,900") as caught:
                open_image(source, max_pixels=limit)
            assert caught.value.status == "too_large"
        else:
            assert open_image(source, max_pixels=limit).width == 100


def test_our_limit_holds_where_pillows_own_would_refuse(tmp_path, monkeypatch):
    Image.new("L", (100, 100)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert open_image(tmp_path / "a.png").width == 100


@pytest.mark.parametrize("side", [MIN_SIDE - 1, MIN_SIDE])
def test_the_smallest_side_is_32(side):
    image = Image.new("RGB", (200, side))
    if side < MIN_SIDE:
        with pytest.raises(ImageError) as caught:
            open_image(image)
        assert caught.value.status == "too_small"
    else:
        assert open_image(image, fit=Fit()).rgb.shape[0] == 64


def test_truncated_files_are_never_filled_up(nasty_folder):
    status_of(nasty_folder[0] / "truncated.jpg")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_no_permission_is_a_status(tmp_path):
    """Root may read everything, so the file is opened by a child that gave up its rights."""
    target = tmp_path / "a.png"
    Image.new("RGB", SIZE).save(target)
    target.chmod(0)
    if os.geteuid() != 0:
        with pytest.raises(ImageError, match="no permission"):
            open_image(target)
        return
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o711)
    code = (
        "import os, sys; from beholder.imaging.open import open_image, ImageError\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: open_image(sys.argv[1])\n"
        "except ImageError as err: print(err.status, err)"
    )
    run = subprocess.run([sys.executable, "-c", code, target], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "unreadable no permission to read it"


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "QOI"])
def test_damaged_bytes_give_a_status_and_never_another_exception(tmp_path, render_picture, kind):
    path = tmp_path / "a"
    scene = render_picture(9, (48, 40))
    scene.save(path, format=kind, **({"save_all": True, "append_images": [scene.rotate(9)]} if kind == "GIF" else {}))
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        bad = bytearray(good[: rng.integers(20, len(good) + 1)] if rng.random() < 0.3 else good)
        for _ in range(rng.integers(1, 8)):
            bad[rng.integers(min(len(bad), 400 if rng.random() < 0.5 else len(bad)))] = rng.integers(256)
        path.write_bytes(bad)
        try:
            open_image(path, fit=Fit(area=1000, min_side=32), max_pixels=1_000_000)
        except ImageError as err:
            seen.add(err.status)
    assert "unreadable" in seen


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_a_hundred_megapixel_jpeg_takes_little_memory(tmp_path):
    path = tmp_path / "a.jpg"
    code = (
        "import sys, resource; from beholder.imaging.open import open_image, Fit\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "picture = open_image(sys.argv[1], fit=Fit())\n"
        "print(picture.width, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    Image.linear_gradient("L").resize((10_000, 10_000), Image.Resampling.BOX).save(path, quality=50)
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    width, grown_kib = map(int, run.stdout.split())
    assert width == 10_000
    assert grown_kib < 60 * 1024, "the whole picture would take 100 MB as grey"


@pytest.mark.parametrize(
    "error", [SystemError("tile cannot extend\noutside image"), ArithmeticError(), AssertionError("x")]
)
@pytest.mark.parametrize("step", ["_open", "load"])
def test_whatever_a_decoder_raises_becomes_a_status_that_names_it(tmp_path, monkeypatch, step, error):
    def fail(*_):
        raise error

    four_corners().save(tmp_path / "a.png")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, step, fail)
    with pytest.raises(ImageError) as caught:
        open_image(tmp_path / "a.png")
    assert caught.value.status == "unreadable"
    text = " ".join(str(error).split())
    assert str(caught.value) == f"damaged or truncated PNG: {type(error).__name__}" + (f": {text}" if text else "")


def test_a_damaged_tag_that_tells_raw_pictures_apart_becomes_a_status(tmp_path):
    Image.new("RGB", SIZE).save(tmp_path / "a.tif", tiffinfo={254: 0})
    data = (tmp_path / "a.tif").read_bytes()
    entry = struct.pack("<HHI", 254, 4, 1)
    assert entry in data
    (tmp_path / "a.tif").write_bytes(data.replace(entry, struct.pack("<HHI", 254, 2, 1)))  # text in place of a number
    with pytest.raises(ImageError, match="damaged or truncated TIFF"):
        open_image(tmp_path / "a.tif")


def test_a_web_page_named_like_a_picture_is_called_one(tmp_path):
    (tmp_path / "a.jpg").write_text("<!DOCTYPE html><title>404</title>")
    with pytest.raises(ImageError, match=r"^not a picture but an HTML page, as a failed download leaves it") as caught:
        open_image(tmp_path / "a.jpg")
    assert caught.value.status == "unsupported"
