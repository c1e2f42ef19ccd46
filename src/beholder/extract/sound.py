"""Sound as one channel of numbers: WAV by SciPy, everything else by FFmpeg."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beholder.extract.limits import ExtractError, check_file, check_seconds

_FULL_SCALE = 32768.0


@dataclass(frozen=True)
class Sound:
    """Mono sound."""

    samples: NDArray[np.float32]
    """(n,), full scale -1 to 1; channels are averaged."""
    rate: int
    """Samples per second."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate


def read_sound(path: Path, rate: int | None = None) -> Sound:
    """The sound of a file, resampled to `rate` Hz if given.

    `.wav` of 16-bit PCM is read as it is; any other ending is read by FFmpeg (the package `av`), a video's sound too.
    Raises ExtractError for a file that can't be read, is shorter than 0.1 s or longer than 300 s, and UserError where
    `av` is needed and missing.
    """
    check_file(path)
    if path.suffix.lower() == ".wav":
        sound = _read_wav(path)
    else:
        from beholder.extract.video import sound_of

        sound = sound_of(path)
    check_seconds(sound.seconds, path)
    return sound if rate is None or rate == sound.rate else resample(sound, rate)


def resample(sound: Sound, rate: int) -> Sound:
    """The same sound at another rate, by a polyphase filter."""
    from scipy.signal import resample_poly

    common = int(np.gcd(rate, sound.rate))
    samples = resample_poly(sound.samples, rate // common, sound.rate // common)
    return Sound(samples.astype(np.float32), rate)


def _read_wav(path: Path) -> Sound:
    from scipy.io import wavfile

    try:
        rate, samples = wavfile.read(path, mmap=True)
        frames = len(samples)
    # Damaged headers make the reader raise anything, struct.error and ZeroDivisionError included.
    except Exception as error:
        raise ExtractError(f"{path} can't be read as WAV: {type(error).__name__} {error}") from error
    if samples.dtype != np.int16:
        raise ExtractError(f"{path} is {samples.dtype} WAV; 16-bit PCM is read. Convert it, e.g. with ffmpeg or sox")
    if not 1_000 <= rate <= 384_000:
        raise ExtractError(f"{path} has {rate} samples per second; 1,000 to 384,000 are read")
    check_seconds(frames / rate, path)
    numbers = np.asarray(samples, np.float32) / _FULL_SCALE
    return Sound(numbers.mean(axis=1) if numbers.ndim == 2 else numbers, rate)
