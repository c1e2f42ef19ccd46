"""Frames and sound of a video, through PyAV; an extra, loaded on first use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.tical.raw.files import MAX_PIXELS, MAX_SECONDS, RATE, Sound, Unreadable, check_seconds

FRAMES = 8
"""Of a video, spread evenly."""
MAX_DECODED = 20_000
"""Frames of a video at most, whatever its length says."""
CONTAINERS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpeg", "mpegts", "mpegvideo", "flv", "asf"),
    *("ogg", "wav", "flac", "mp3", "aac"),
)
"""What holds its own sound and pictures. Not playlists: FFmpeg knows them under any name, and opens what they name."""


def frames_of(file: Path) -> list[NDArray[np.uint8]]:
    """FRAMES frames at most, RGB (height, width, 3). Raises Unreadable."""
    with _opened(file, "video") as (container, stream):
        if (pixels := stream.codec_context.width * stream.codec_context.height) > MAX_PIXELS:
            raise Unreadable(f"{file.name} has frames of {pixels} pixels; at most {MAX_PIXELS} are read")
        seconds = _seconds(container, stream, file)
        wanted = [(i + 0.5) * seconds / FRAMES for i in range(FRAMES)]
        out: list[NDArray[np.uint8]] = []
        last = None
        for i, frame in enumerate(container.decode(stream)):
            if i >= MAX_DECODED:
                raise Unreadable(f"{file.name} has more than {MAX_DECODED} frames")
            if frame.width * frame.height > MAX_PIXELS:
                raise Unreadable(f"{file.name} has a frame of {frame.width} x {frame.height} pixels")
            last = frame
            if (
                len(out) < len(wanted)
                and (frame.time or 0.0) - float(stream.start_time or 0) * float(stream.time_base or 0)
                >= (wanted[len(out)])
            ):
                out.append(frame.to_ndarray(format="rgb24"))
            if len(out) == len(wanted):
                return out
        if last is None:
            raise Unreadable(f"{file.name} has no frames")
        return out or [last.to_ndarray(format="rgb24")]


def sound_of(file: Path) -> Sound:
    """The first sound of a file, one channel at RATE. Raises Unreadable."""
    av = _av()
    with _opened(file, "audio") as (container, stream):
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        parts: list[NDArray[np.float32]] = []
        n = 0
        for frame in container.decode(stream):
            for part in resampler.resample(frame):
                parts.append(part.to_ndarray()[0])
                n += len(parts[-1])
                check_seconds(n / RATE, file)
        parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    samples = np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)
    if not len(samples):
        raise Unreadable(f"{file.name} has no sound in it")
    return Sound(samples)


@contextmanager
def _opened(file: Path, kind: str) -> Iterator[tuple[Any, Any]]:
    av = _av()
    try:
        # An open file, because FFmpeg takes some names for addresses.
        with (
            file.open("rb") as content,
            av.open(
                content, options={"format_whitelist": ",".join(CONTAINERS)}, metadata_errors="replace"
            ) as container,
        ):
            stream = next((s for s in container.streams if s.type == kind), None)
            if stream is None:
                raise Unreadable(f"{file.name} has no {'sound' if kind == 'audio' else 'picture'}")
            yield container, stream
    except (av.FFmpegError, OSError, ValueError) as error:
        raise Unreadable(f"{file.name} can't be decoded: {error}") from error


def _seconds(container: Any, stream: Any, file: Path) -> float:
    known = container.duration / 1e6 if container.duration else float((stream.duration or 0) * stream.time_base)
    if known <= 0:
        raise Unreadable(f"{file.name} does not say how long it is; at most {MAX_SECONDS:.0f} s are read")
    check_seconds(known, file)
    return known


def _av() -> Any:
    try:
        import av
    except ModuleNotFoundError:
        raise UserError("videos need av, which is not installed. Try: pip install 'beholder[emotion-raw]'") from None
    return av
