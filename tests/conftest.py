"""Pictures for every room's tests, rendered here: nothing is downloaded, nothing is read from outside the test."""

import os
import signal
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

RenderPicture = Callable[[int, tuple[int, int]], Image.Image]


def pytest_configure() -> None:
    """Ctrl-C works in tests and in what they start, also where the caller's shell has told us to ignore it (`&`)."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def render(seed: int, size: tuple[int, int]) -> Image.Image:
    """An RGB scene of `size` (width, height): a colour gradient, a few shapes, fine texture. Same seed, same pixels."""
    rng = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    corners = rng.uniform(40, 215, (3, 3))
    scene = corners[0] + x[..., None] * (corners[1] - corners[0]) + y[..., None] * (corners[2] - corners[0])
    image = Image.fromarray(scene.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = rng.uniform(0, 0.8, 2) * size
        right, bottom = (left, top) + rng.uniform(0.1, 0.4, 2) * size
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)((left, top, right, bottom), fill=colour)
    texture = rng.normal(0, 6, (height, width, 1)) + 5 * np.sin(x * 90 + y * 40)[..., None]
    return Image.fromarray((np.asarray(image) + texture).clip(0, 255).astype(np.uint8))


@pytest.fixture(autouse=True)
def _threads_of_torch() -> Iterator[None]:
    """A training sets how many threads torch has in this process; the next test has one again."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def render_picture() -> RenderPicture:
    """`render_picture(seed, (width, height))` gives an RGB Pillow image."""
    return render


def png_header(width: int, height: int) -> bytes:
    """A few bytes that promise a grey PNG of any size: a decompression bomb, for whoever believes them."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.fixture(scope="session")
def nasty_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder of what real folders hold, and for each name the status its row must get.

    Every name has a picture's extension, so a search of the folder finds each; `folder.jpg` is a folder and is not
    among them.
    """
    folder = tmp_path_factory.mktemp("nasty")
    scene = render(1, (120, 90))
    expected: dict[str, str] = {}

    def keep(name: str, image: Image.Image, status: str = "ok", **options: object) -> None:
        image.save(folder / name, **options)
        expected[name] = status

    def write(name: str, data: bytes, status: str) -> None:
        (folder / name).write_bytes(data)
        expected[name] = status

    keep("plain.jpg", scene, quality=90)
    keep("progressive.jpg", scene, progressive=True)
    rotated = Image.Exif()
    rotated[0x0112] = 6
    keep("rotated.jpg", scene, exif=rotated)
    keep("cmyk.jpg", scene.convert("CMYK"))
    keep("grey.jpg", scene.convert("L"))
    keep("one_bit.png", scene.convert("1"))
    keep("palette.png", scene.quantize(16))
    keep("alpha.png", Image.merge("RGBA", (*scene.split(), scene.getchannel("R"))))
    keep("grey_alpha.png", scene.convert("LA"))
    keep("deep.png", Image.fromarray(np.asarray(scene.convert("L")).astype(np.uint16) * 257))
    keep("animated.gif", scene, save_all=True, append_images=[scene.rotate(5), scene.rotate(10)])
    keep("animated.webp", scene, save_all=True, append_images=[scene.rotate(5)])
    keep("animated.png", scene, save_all=True, append_images=[scene.rotate(5)])
    keep("scan.tif", scene, compression="tiff_lzw")
    keep("bitmap.bmp", scene)
    keep("gif_inside.jpg", scene, format="GIF")
    keep("brackets [1] (copy).jpg", scene)
    keep("Grüße 日本 🙂.jpg", scene)
    keep("new\nline.jpg", scene)
    keep("-o.jpg", scene)
    keep("UPPER.JPG", scene, format="JPEG")
    keep("wide.png", render(2, (400, 33)))
    keep("tiny.png", scene.resize((40, 31)), status="too_small")

    jpeg = (folder / "plain.jpg").read_bytes()
    write("truncated.jpg", jpeg[: len(jpeg) // 2], "unreadable")
    write("cut_in_header.jpg", jpeg[:30], "unreadable")
    write("truncated.png", (folder / "alpha.png").read_bytes()[:2000], "unreadable")
    write("empty.jpg", b"", "unreadable")
    write("zeros.jpg", bytes(4096), "unreadable")
    write("text.jpg", b"this is not a picture\n", "unsupported")
    write("error_page.jpg", b"<!DOCTYPE html><title>404</title>", "unsupported")
    write("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "unsupported")
    write("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"/>', "unsupported")
    keep("camera.nef", scene, status="unsupported", format="TIFF")
    write("bomb.png", png_header(60_000, 60_000), "too_large")
    (folder / "dangling.jpg").symlink_to("no such target.jpg")
    expected["dangling.jpg"] = "unreadable"
    os.mkfifo(folder / "pipe.jpg")
    expected["pipe.jpg"] = "unreadable"
    (folder / "folder.jpg").mkdir()
    return folder, expected
