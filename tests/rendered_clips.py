"""Faces, tones and sentences that show one of three emotions, drawn and written by the tests."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

EMOTIONS = ("anger", "happy", "sad")

_WORDS = {
    "anger": ("hate", "stop", "furious", "never", "awful"),
    "happy": ("love", "great", "wonderful", "yes", "smile"),
    "sad": ("alone", "lost", "cry", "sorry", "tired"),
}
_PITCH_HZ = {"anger": 260.0, "happy": 180.0, "sad": 100.0}


def draw_face(emotion: str, rng: np.random.Generator, side: int = 96) -> Image.Image:
    """Mouth up, down or straight with brows down, a little shifted, and noise."""
    image = Image.new("L", (side, side), int(rng.integers(150, 210)))
    draw = ImageDraw.Draw(image)
    dx, dy = rng.integers(-3, 4, 2)
    for x in (30, 66):
        draw.ellipse((x - 6 + dx, 36 + dy, x + 6 + dx, 46 + dy), fill=20)
    if emotion == "anger":
        draw.line((22 + dx, 24 + dy, 42 + dx, 33 + dy), fill=20, width=4)
        draw.line((74 + dx, 24 + dy, 54 + dx, 33 + dy), fill=20, width=4)
        draw.line((32 + dx, 74 + dy, 64 + dx, 74 + dy), fill=20, width=4)
    else:
        start, end, top = (20, 160, 52) if emotion == "happy" else (200, 340, 68)
        draw.arc((28 + dx, top + dy, 68 + dx, top + 28 + dy), start, end, fill=20, width=4)
    pixels = np.asarray(image, np.float64) + rng.normal(0, 6, (side, side))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def sing(emotion: str, rng: np.random.Generator, seconds: float = 0.5, rate: int = 16_000) -> NDArray[np.float64]:
    """A tone with overtones, its pitch by emotion, louder and rougher for anger, falling for sad."""
    t = np.arange(int(seconds * rate)) / rate
    slope = {"anger": 0.0, "happy": 0.25, "sad": -0.2}[emotion]
    hz = _PITCH_HZ[emotion] * rng.uniform(0.9, 1.1) * (1 + slope * t / seconds)
    phase = 2 * np.pi * np.cumsum(hz) / rate
    tone = sum(np.sin(k * phase) / k for k in range(1, 6))
    roughness = 0.3 if emotion == "anger" else 0.03
    return 0.15 * (tone + rng.normal(0, roughness, len(t)))


def write_wav(file: Path, samples: NDArray[np.float64], rate: int = 16_000, channels: int = 1) -> Path:
    with wave.open(str(file), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return file


def say(emotion: str, rng: np.random.Generator) -> str:
    """Three words of the emotion among those that anybody says."""
    words = [*rng.choice(_WORDS[emotion], 3), *rng.choice(("the", "and", "you", "it"), 3)]
    return " ".join(rng.permutation(words).tolist()).capitalize() + "."


def write_clips(folder: Path, n: int, seed: int = 0) -> dict[str, list[object]]:
    """Columns of a table of `n` clips whose files are in `folder`."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[object]] = {name: [] for name in ("id", "label", "voice_file", "face_file", "text")}
    for i in range(n):
        emotion = EMOTIONS[i % 3]
        draw_face(emotion, rng).save(folder / f"{i}.png")
        write_wav(folder / f"{i}.wav", sing(emotion, rng))
        row = (f"clip{i}", emotion, f"{i}.wav", f"{i}.png", say(emotion, rng))
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return columns
