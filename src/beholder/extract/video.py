"""Frames and sound of a video, by FFmpeg through PyAV; nothing is written, no other program is started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.extract.limits import MAX_PIXELS, MAX_SECONDS, ExtractError, check_seconds, need
from beholder.extract.sound import Sound

MAX_FRAMES = 36_000
"""Decoded at most: 300 s at 120 per second."""

_LONG_SIDE = 640
"""Pixels that frames are shrunk to; no extractor sees more."""


def frames_of(path: Path, frames: int) -> list[NDArray[np.uint8]]:
    """At most `frames` RGB frames (height, width, 3), evenly spread over a video, upright, their long side at most 640.

    Raises ExtractError where there is no picture in it, it can't be decoded, or is too long or too large; UserError
    without the package `av`.
    """
    with _opened(path) as container:
        if not container.streams.video:
            raise ExtractError(f"{path} has no picture in it")
        stream = container.streams.video[0]
        kept: list[NDArray[np.uint8]] = []
        stride = 1
        for place, frame in enumerate(container.decode(stream)):
            _check_frame(place, frame, path)
            if place % stride:
                continue
            kept.append(_pixels(frame))
            # How many there will be, no header tells for sure; so each time there are twice as many as needed,
            # every other one goes.
            if len(kept) >= 2 * frames:
                kept, stride = kept[::2], 2 * stride
    if not kept:
        raise ExtractError(f"{path} has no frame that could be decoded")
    places = np.linspace(0, len(kept) - 1, min(frames, len(kept))).round().astype(int)
    return [kept[place] for place in places]


def sound_of(path: Path) -> Sound:
    """The first sound track as one channel at its own rate. Raises as `frames_of`."""
    with _opened(path, f"sound in {path.suffix or 'a file without an ending'}") as container:
        import av

        if not container.streams.audio:
            raise ExtractError(f"{path} has no sound in it")
        stream = container.streams.audio[0]
        to_mono = av.AudioResampler(format="flt", layout="mono")
        parts: list[NDArray[np.float32]] = []
        n, rate = 0, stream.rate or 0
        for frame in container.decode(stream):
            rate = frame.sample_rate
            for mono in to_mono.resample(frame):
                parts.append(mono.to_ndarray()[0])
                n += len(parts[-1])
            if rate <= 0 or n > MAX_SECONDS * rate:
                check_seconds(n / max(rate, 1), path)
        for mono in to_mono.resample(None):
            parts.append(mono.to_ndarray()[0])
    if not parts or rate <= 0:
        raise ExtractError(f"{path} has no sound that could be decoded")
    return Sound(np.concatenate(parts).astype(np.float32, copy=False), rate)


@contextmanager
def _opened(path: Path, what: str = "video") -> Iterator[Any]:
    need("av", "emotion-raw", what)
    import av

    try:
        # A plain file name: FFmpeg takes others for addresses.
        with path.open("rb") as file, av.open(file, metadata_errors="ignore") as container:
            for stream in container.streams.video:
                stream.thread_count = 1
            yield container
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise ExtractError(f"{path} can't be decoded: {error}") from error


def _check_frame(place: int, frame: Any, path: Path) -> None:
    if place >= MAX_FRAMES or (frame.time or 0) > MAX_SECONDS:
        raise ExtractError(f"{path} has more than {MAX_FRAMES:,} frames, or {MAX_SECONDS:g} s; cut it")
    if frame.width * frame.height > MAX_PIXELS:
        raise ExtractError(f"{path} has frames of {frame.width} x {frame.height}; {MAX_PIXELS:,} pixels are read")


def _pixels(frame: Any) -> NDArray[np.uint8]:
    scale = min(1.0, _LONG_SIDE / max(frame.width, frame.height))
    width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
    rgb = frame.to_ndarray(width=width, height=height, format="rgb24")
    # Phones store pictures as the sensor lies, and say beside them how to turn them.
    upright: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90)))
    return upright
