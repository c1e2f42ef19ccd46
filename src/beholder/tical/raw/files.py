"""Opening what people have: sound, pictures, text; each within limits, and a reason where it can't be read."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from beholder.imaging.open import open_image, open_regular
from beholder.imaging.status import ImageError

MAX_BYTES = 500_000_000
MAX_SECONDS = 300.0
MAX_PIXELS = 50_000_000
MAX_CHARACTERS = 20_000

RATE = 16_000
"""Samples a second that every sound is brought to."""

VIDEOS = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v")
OTHER_SOUNDS = (".mp3", ".m4a", ".ogg", ".opus", ".flac", ".aac")


class Unreadable(Exception):
    """Why a file gives no features. Its row stays."""


@dataclass(frozen=True)
class Sound:
    """One channel in [-1, 1] at `RATE`."""

    samples: NDArray[np.float32]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / RATE


def open_sound(file: Path) -> Sound:
    """A WAV of 16 bits, channels averaged; the sound of a video, or another format, through PyAV.

    Raises Unreadable, also for one that is empty, or longer than MAX_SECONDS.
    """
    _check_size(file)
    if file.suffix.lower() in (*VIDEOS, *OTHER_SOUNDS):
        from beholder.tical.raw.video import sound_of

        return sound_of(file)
    try:
        with wave.open(str(file), "rb") as stream:
            channels, width, rate = stream.getnchannels(), stream.getsampwidth(), stream.getframerate()
            n = stream.getnframes()
            if width != 2:
                raise Unreadable(f"{file.name} has {8 * width} bits a sample; a WAV of 16 is read")
            if not 1000 <= rate <= 384_000:
                raise Unreadable(f"{file.name} has {rate} samples a second; 1000 to 384000 are read")
            check_seconds(n / rate, file)
            data = np.frombuffer(stream.readframes(n), "<i2")
    except (wave.Error, EOFError, OSError) as error:
        raise Unreadable(f"{file.name} can't be read as WAV: {error or 'it ends too early'}") from error
    if not len(data) or len(data) < n * channels:
        raise Unreadable(f"{file.name} ends too early: {len(data) // channels} of {n} samples")
    mono = data.reshape(-1, channels).mean(axis=1) / 32768
    common = np.gcd(rate, RATE)
    return Sound((mono if rate == RATE else resample_poly(mono, RATE // common, rate // common)).astype(np.float32))


def open_pictures(file: Path) -> list[NDArray[np.uint8]]:
    """RGB (height, width, 3) of a picture, or of frames spread evenly over a video. Raises Unreadable."""
    _check_size(file)
    if file.suffix.lower() in VIDEOS:
        from beholder.tical.raw.video import frames_of

        return frames_of(file)
    try:
        return [open_image(file, max_pixels=MAX_PIXELS).rgb]
    except ImageError as error:
        raise Unreadable(f"{file.name}: {error}") from error


def open_text(file: Path) -> str:
    """UTF-8. Raises Unreadable."""
    _check_size(file)
    try:
        return check_text(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Unreadable(f"{file.name} is no UTF-8: {error.reason} at byte {error.start}") from error


def check_text(text: str) -> str:
    """Raises Unreadable where it is empty or too long."""
    if not text.strip() or len(text) > MAX_CHARACTERS:
        raise Unreadable(f"a text has {len(text)} characters; 1 to {MAX_CHARACTERS} are read")
    return text


def check_seconds(seconds: float, file: Path) -> None:
    """Raises Unreadable for what is longer than MAX_SECONDS."""
    if seconds > MAX_SECONDS:
        raise Unreadable(f"{file.name} takes {seconds:.0f} s; at most {MAX_SECONDS:.0f} are read: cut it into clips")


def _check_size(file: Path) -> None:
    try:
        open_regular(str(file)).close()
    except ImageError as error:
        raise Unreadable(f"{file.name}: {error}") from error
    if (size := file.stat().st_size) > MAX_BYTES:
        raise Unreadable(f"{file.name} has {size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} are read")
