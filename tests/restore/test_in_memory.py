from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cheap_upscaler import bicubic, cheap_upscaler
from conftest import render
from PIL import Image

import beholder
from beholder.alignvar import folder as model_folder
from beholder.alignvar.config import SIZES
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.transformer import AlignVar
from beholder.errors import UserError
from beholder.restore import Upscaler


@pytest.fixture
def pixels() -> np.ndarray:
    return np.asarray(render(1, (33, 20)))


def test_a_picture_in_memory_becomes_what_its_file_becomes(tmp_path: Path) -> None:
    upscaler = cheap_upscaler(bicubic, fidelity=0.7)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    render(1, (33, 20)).save(tmp_path / "a.jpg", exif=exif, icc_profile=b"profile")
    options = {"scale": 2.5, "colour_fix": "adain", "fidelity": 0.3}
    beholder.upscale(tmp_path / "a.jpg", tmp_path / "file.png", model=upscaler, **options)
    with Image.open(tmp_path / "a.jpg") as image:
        large = upscaler(image, **options)
        assert image.getexif()[0x0112] == 6  # the one that was given is left alone
    with Image.open(tmp_path / "file.png") as file:
        assert np.array_equal(np.asarray(file), np.asarray(large))
        assert (large.size, large.mode) == (file.size, file.mode) == ((50, 82), "RGB")
    assert large.info["icc_profile"] == b"profile"
    assert dict(large.getexif()) == {0x010F: "Maker"}


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "P", "1", "CMYK"])
def test_a_pillow_image_keeps_depth_and_transparency(mode: str) -> None:
    image = render(1, (33, 20))
    image = image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)
    large = cheap_upscaler()(image)
    assert large.size == (132, 80)
    assert large.mode == {"P": "RGB", "1": "L", "CMYK": "RGB"}.get(mode, mode)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_an_array_comes_back_as_an_array_of_its_type(dtype: type, channels: int | None) -> None:
    rng = np.random.default_rng(0)
    unit = rng.uniform(size=(20, 17) if channels is None else (20, 17, channels))
    white = 1.0 if np.dtype(dtype).kind == "f" else float(np.iinfo(dtype).max)
    array = (unit * white).astype(dtype)
    large = cheap_upscaler()(array, colour_fix="none")
    assert large.dtype == dtype
    assert large.shape == (80, 68, *array.shape[2:])
    seen = large[::4, ::4].astype(np.float64) / white
    if channels in (None, 1, 3):  # transparency is enlarged by bicubic, and `cheap_upscaler` repeats pixels
        assert np.abs(seen - array.astype(np.float64) / white).max() < 1e-3


def test_a_tensor_comes_back_as_a_tensor_and_says_the_same_as_the_array(pixels: np.ndarray) -> None:
    upscaler = cheap_upscaler(bicubic)
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    large = upscaler(tensor)
    assert large.dtype == torch.uint8
    assert np.array_equal(large.permute(1, 2, 0).numpy(), upscaler(pixels))
    batch = torch.stack([tensor, tensor.flip(2)]).to(torch.bfloat16) / 255
    several = upscaler(batch)
    assert (several.shape, several.dtype) == ((2, 3, 80, 132), torch.bfloat16)
    assert (several[0].float() - large.float() / 255).abs().max() < 0.01


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("cat.jpg", "not str. For files: beholder.upscale"),
        (np.zeros((20, 20, 5), np.uint8), r"array of shape \(20, 20, 5\)"),
        (np.zeros((20, 20), np.int32), "pixels of type int32: allowed are uint8, uint16 and floating point"),
        (np.full((20, 20), 200.0), r"floating-point pixels from 200 to 200: allowed are finite numbers in \[0, 1\]"),
        (np.full((20, 20), np.nan), "floating-point pixels from nan"),
        (np.zeros((15, 20), np.uint8), "20 x 15 pixels; sides of 16 px at least"),
        (torch.zeros(20, 20), r"tensor of shape \(20, 20\)"),
        (Image.new("F", (20, 20)), "floating-point pictures"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_picture_is_refused_in_words(picture: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cheap_upscaler()(picture)


def test_options_are_checked_as_those_of_the_command(pixels: np.ndarray) -> None:
    for option, message in (({"scale": 9}, "--scale 9"), ({"tile": 13}, "--tile 13"), ({"seed": 1}, "--seed 1 says")):
        with pytest.raises(UserError, match=message):
            cheap_upscaler()(pixels, **option)


def test_a_trained_model_is_loaded_by_its_folder(
    tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    config = SIZES["tiny"]
    model_folder.save(AlignVar(config).eval(), Tokeniser(config.tokeniser).eval(), tmp_path / "model")
    upscaler = Upscaler.from_pretrained(tmp_path / "model")
    render(1, (33, 20)).save(tmp_path / "a.png")
    beholder.upscale(tmp_path / "a.png", tmp_path / "b.png", model=upscaler)
    assert np.array_equal(upscaler(pixels), np.asarray(Image.open(tmp_path / "b.png")))
    with monkeypatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
        half = Upscaler.from_pretrained(tmp_path / "model", half=True)
    assert (upscaler.precision, half.precision) == ("float32", "bfloat16")
    plain = {"decode": "soft", "fidelity": 0, "colour_fix": "none"}
    first, second = (each(pixels, **plain).astype(int) for each in (upscaler, half))
    assert 0 < np.abs(first - second).mean() < 2
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(UserError, match="--half: cpu computes 16 bits slower"):
        Upscaler.from_pretrained(tmp_path / "model", half=True)
