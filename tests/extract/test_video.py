from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="needs the extra emotion-raw")
pytest.importorskip("skimage", reason="needs the extra emotion")

import av
from rendered_clips import draw_face, sing

from beholder.extract import hog, limits, logmel, video
from beholder.extract.limits import ExtractError
from beholder.extract.picture import read_frames
from beholder.extract.sound import Sound, read_sound


def write_video(
    file: Path, greys: list[int], samples: np.ndarray | None = None, face: np.ndarray | None = None
) -> Path:
    """A frame of each grey, or of one face, 10 per second, 96 x 64; sound at 16 kHz if given."""
    with av.open(str(file), "w") as out:
        pictures = out.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        if samples is not None:
            sound = out.add_stream("aac", rate=16_000, layout="mono")
        for grey in greys:
            rgb = np.full((64, 96, 3), grey, np.uint8)
            if face is not None:
                rgb[:, 16:80] = face
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(pictures.encode(None))
        if samples is not None:
            frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16_000
            out.mux(sound.encode(frame))
            out.mux(sound.encode(None))
    return file


def test_frames_are_spread_over_the_whole_video(tmp_path: Path) -> None:
    greys = [int(v) for v in np.linspace(20, 230, 50)]
    seen = [int(frame.mean()) for frame in read_frames(write_video(tmp_path / "v.mp4", greys), 4)]
    assert len(seen) == 4
    assert seen == sorted(seen)
    assert seen[0] < 35
    assert seen[-1] > 200
    assert max(np.diff(seen)) < 2 * min(np.diff(seen))


def test_a_short_video_gives_the_frames_it_has(tmp_path: Path) -> None:
    assert len(read_frames(write_video(tmp_path / "v.mkv", [10, 200]), 8)) == 2


def test_a_face_in_a_video_measures_as_the_picture_of_it(tmp_path: Path) -> None:
    face = np.asarray(draw_face("happy", np.random.default_rng(0)).convert("RGB").resize((64, 64)))
    file = write_video(tmp_path / "v.mp4", [128] * 12, face=face)
    found, expected = hog.measure(file, hog.Config()), hog.gradients(face)
    other = hog.gradients(np.asarray(draw_face("sad", np.random.default_rng(1)).convert("RGB").resize((64, 64))))
    assert np.corrcoef(found, expected)[0, 1] > 0.9 > np.corrcoef(found, other)[0, 1] + 0.05


def test_sound_of_a_video_is_that_of_the_recording(tmp_path: Path) -> None:
    samples = sing("sad", np.random.default_rng(0), seconds=1.0)
    sound = read_sound(write_video(tmp_path / "v.mp4", [0] * 10, samples), 16_000)
    np.testing.assert_allclose(sound.seconds, 1.0, atol=0.1)
    heard, sung = logmel.statistics(sound), logmel.statistics(Sound(samples.astype(np.float32), 16_000))
    np.testing.assert_allclose(heard[-7], sung[-7], atol=0.5)  # pitch in semitones


def test_a_video_that_is_turned_is_turned_back(tmp_path: Path) -> None:
    face = np.zeros((64, 64, 3), np.uint8)
    face[:10] = 255  # bright at the top
    file = write_video(tmp_path / "v.mp4", [0] * 3, face=face)
    content = bytearray(file.read_bytes())
    at = content.index(b"tkhd") + 44
    fixed = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]  # a quarter turn clockwise, as phones write it
    assert content[at : at + 4] == (1 << 16).to_bytes(4, "big")
    content[at : at + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in fixed)
    file.write_bytes(content)
    frame = read_frames(file, 1)[0]
    assert frame.shape[:2] == (96, 64)
    assert frame[:, -8:].mean() > frame[:, :8].mean() + 50  # the top is on the right now


def test_without_sound_or_picture_or_sense_the_error_says_so(tmp_path: Path) -> None:
    silent = write_video(tmp_path / "v.mp4", [0] * 3)
    with pytest.raises(ExtractError, match="no sound"):
        read_sound(silent)
    (tmp_path / "bad.mp4").write_bytes(b"\x00\x00\x00\x18ftypisom" + bytes(500))
    with pytest.raises(ExtractError, match="decoded"):
        read_frames(tmp_path / "bad.mp4", 4)
    with pytest.raises(ExtractError, match="decoded"):
        read_sound(tmp_path / "bad.mp4")


def test_a_truncated_video_is_an_error_or_what_is_left_never_a_crash(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "v.mkv", [int(v) for v in np.linspace(0, 250, 30)]).read_bytes()
    for end in range(50, len(whole), len(whole) // 12):
        cut = tmp_path / "cut.mkv"
        cut.write_bytes(whole[:end])
        try:
            assert 1 <= len(read_frames(cut, 4)) <= 4
        except ExtractError as error:
            assert "cut.mkv" in str(error)  # noqa: PT017


def test_length_and_size_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_video(tmp_path / "v.mp4", [0] * 30, np.zeros(48_000))
    monkeypatch.setattr(video, "MAX_SECONDS", 2.0)
    monkeypatch.setattr(limits, "MAX_SECONDS", 2.0)
    with pytest.raises(ExtractError, match="cut it"):
        read_frames(file, 4)
    with pytest.raises(ExtractError, match="2 s are read"):
        read_sound(file)
    monkeypatch.setattr(video, "MAX_PIXELS", 1000)
    with pytest.raises(ExtractError, match="96 x 64"):
        read_frames(file, 4)
