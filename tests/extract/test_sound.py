from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from rendered_clips import EMOTIONS, sing, write_wav

from beholder.extract.limits import MAX_SECONDS, ExtractError
from beholder.extract.logmel import Config, measure, statistics
from beholder.extract.sound import Sound, read_sound, resample


def tone(hz: float, seconds: float = 1.0, rate: int = 16_000, noise: float = 0.0) -> Sound:
    t = np.arange(int(seconds * rate)) / rate
    wave = 0.3 * sum(np.sin(2 * np.pi * k * hz * t) / k for k in (1, 2, 3))
    return Sound((wave + noise * np.random.default_rng(0).normal(size=len(t))).astype(np.float32), rate)


def test_a_wav_is_read_as_one_channel_at_full_scale(tmp_path: Path) -> None:
    stereo = np.stack([np.full(8000, 0.5), np.full(8000, -0.25)], axis=1)
    sound = read_sound(write_wav(tmp_path / "s.wav", stereo, 8000, channels=2))
    assert (sound.rate, len(sound.samples), sound.seconds) == (8000, 8000, 1.0)
    np.testing.assert_allclose(sound.samples, 0.125, atol=1e-4)


def test_another_rate_keeps_length_and_pitch() -> None:
    heard = resample(tone(200, rate=44_100), 16_000)
    assert (heard.rate, len(heard.samples)) == (16_000, 16_000)
    np.testing.assert_allclose(statistics(heard)[-7], 12 * np.log2(200 / 27.5), atol=0.3)


@pytest.mark.parametrize("hz", [90.0, 150.0, 220.0, 400.0])
def test_pitch_is_that_of_the_tone(hz: float) -> None:
    numbers = statistics(tone(hz, noise=0.01))
    pitch, spread, voiced = numbers[-7], numbers[-6], numbers[-3]
    np.testing.assert_allclose(pitch, 12 * np.log2(hz / 27.5), atol=0.3)
    assert spread < 0.3
    assert voiced > 0.9


def test_noise_has_no_pitch_and_silence_is_finite() -> None:
    noise = Sound(np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32), 16_000)
    assert statistics(noise)[-3] < 0.1
    assert np.isfinite(statistics(Sound(np.zeros(16_000, np.float32), 16_000))).all()


def test_loudness_of_the_recording_does_not_matter() -> None:
    loud = tone(150, noise=0.02)
    np.testing.assert_allclose(statistics(Sound(loud.samples / 8, loud.rate)), statistics(loud), rtol=1e-3, atol=1e-3)


def test_clips_of_one_emotion_are_nearer_than_those_of_others() -> None:
    rng = np.random.default_rng(0)
    x = np.stack([statistics(Sound(sing(e, rng).astype(np.float32), 16_000)) for e in EMOTIONS for _ in range(6)])
    assert x.shape == (18, 130)
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
    means = x.reshape(3, 6, -1).mean(axis=1)
    nearest = np.linalg.norm(x[:, None] - means, axis=2).argmin(axis=1)
    assert (nearest == np.repeat(range(3), 6)).mean() > 0.9


def test_the_same_file_gives_the_same_numbers_at_any_length_of_batch(tmp_path: Path) -> None:
    long = write_wav(tmp_path / "long.wav", np.tile(sing("happy", np.random.default_rng(1)), 60))  # over 2,000 frames
    assert np.array_equal(measure(long, Config()), measure(long, Config()))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.wav", None, "not there"),
        ("empty.wav", b"", "0 bytes"),
        ("text.wav", b"no sound at all", "can't be read as WAV"),
        ("cut.wav", b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00", "can't be read as WAV"),
    ],
)
def test_what_is_no_sound_says_why(name: str, content: bytes | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ExtractError, match=says):
        read_sound(tmp_path / name)


def test_too_long_too_short_and_deep_sound_is_refused(tmp_path: Path) -> None:
    from scipy.io import wavfile

    with pytest.raises(ExtractError, match=r"lasts 0\.0"):
        read_sound(write_wav(tmp_path / "short.wav", np.zeros(100)))
    with pytest.raises(ExtractError, match="300 s are read"):
        read_sound(write_wav(tmp_path / "long.wav", np.zeros(int(MAX_SECONDS + 1) * 1000), 1000))
    wavfile.write(tmp_path / "float.wav", 16_000, np.zeros(16_000, np.float32))
    with pytest.raises(ExtractError, match="16-bit PCM"):
        read_sound(tmp_path / "float.wav")


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "p.wav")
    with pytest.raises(ExtractError, match="no regular file"):
        read_sound(tmp_path / "p.wav")


def test_egemaps_are_those_of_opensmile(tmp_path: Path) -> None:
    pytest.importorskip("opensmile", reason="needs the extra opensmile")
    from beholder.extract import egemaps

    low = write_wav(tmp_path / "low.wav", tone(110).samples.astype(np.float64))
    high = write_wav(tmp_path / "high.wav", tone(220).samples.astype(np.float64))
    first, second = (egemaps.measure(file, egemaps.Config(rate=22_050)) for file in (low, high))
    assert first.shape == (88,)
    np.testing.assert_allclose(second[0] - first[0], 12, atol=0.3)  # F0 in semitones is its first column
