from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from beholder.errors import UserError
from beholder.tical.raw import files, video
from beholder.tical.raw.files import Unreadable, open_pictures, open_sound
from beholder.tical.raw.sound import BANDS, logmel_stats
from beholder.tical.raw.table import EXTRACTORS

av = pytest.importorskip("av", reason="needs the extra emotion-raw")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds: frames from dark to bright, and a tone of 200 Hz."""
    file = tmp_path_factory.mktemp("clip") / "clip.mkv"
    with av.open(str(file), "w") as container:
        pictures = container.add_stream("mpeg4", rate=20)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=22_050, layout="mono")
        for i in range(40):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + 5 * i, np.uint8), format="rgb24")
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        t = np.arange(2 * 22_050) / 22_050
        tone = (sum(np.sin(2 * np.pi * 200 * k * t) for k in (1, 2)) * 8000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 22_050, Fraction(1, 22_050), 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return file


def test_frames_are_spread_evenly(clip: Path) -> None:
    found = open_pictures(clip)
    assert [frame.shape for frame in found] == [(48, 64, 3)] * video.FRAMES
    bright = np.array([frame.mean() for frame in found])
    assert np.allclose(np.diff(bright), 25, atol=8)


def test_the_sound_is_the_tone(clip: Path) -> None:
    found = open_sound(clip)
    assert found.seconds == pytest.approx(2, abs=0.05)
    assert logmel_stats(found)[2 * BANDS + 4] == pytest.approx(12 * np.log2(200 / 27.5), abs=0.3)


def test_the_mean_over_frames_counts(clip: Path) -> None:
    pytest.importorskip("skimage")
    hog = EXTRACTORS["hog_pca"]
    found = hog.measure_file(clip, "")
    assert np.allclose(found, np.mean([hog.measure(frame, "") for frame in open_pictures(clip)], axis=0))


def test_what_is_too_long_too_large_or_broken_says_so(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all" * 50)
    for read in (open_pictures, open_sound):
        with pytest.raises(Unreadable, match="can't be decoded"):
            read(broken)
    with monkeypatch.context() as small:
        small.setattr(video, "MAX_PIXELS", 1000)
        with pytest.raises(Unreadable, match="frames of 3072 pixels"):
            open_pictures(clip)
    monkeypatch.setattr(files, "MAX_SECONDS", 1.0)
    for read in (open_pictures, open_sound):
        with pytest.raises(Unreadable, match="cut it into clips"):
            read(clip)


def test_a_playlist_under_the_name_of_a_video_opens_nothing(clip: Path) -> None:
    playlist = clip.with_name("list.mkv")
    playlist.write_text(f"ffconcat version 1.0\nfile {clip.name}\n")
    with av.open(str(playlist)) as container:
        assert next(container.decode(video=0))  # FFmpeg by itself would follow it
    for read in (open_pictures, open_sound):
        with pytest.raises(Unreadable, match=r"list\.mkv can't be decoded"):
            read(playlist)


def test_without_av_it_is_said_what_to_install(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match="emotion-raw"):
        open_sound(clip)
