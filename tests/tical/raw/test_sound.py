from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from beholder.errors import UserError
from beholder.tical.raw import files, sound
from beholder.tical.raw.files import RATE, Sound, Unreadable, open_sound
from beholder.tical.raw.sound import BANDS, WIDTH, logmel_stats

MEDIAN, SHARE = 2 * BANDS + 4, -1


def tone(hz: float, seconds: float = 0.6, rate: int = RATE, loud: float = 0.3) -> np.ndarray:
    """A pitch with four harmonics, as a voice has them."""
    t = np.arange(int(seconds * rate)) / rate
    return loud * sum(np.sin(2 * np.pi * hz * k * t) / k for k in (1, 2, 3, 4)) / 2


def write_wav(file: Path, samples: np.ndarray, rate: int = RATE, channels: int = 1) -> Path:
    with wave.open(str(file), "wb") as stream:
        stream.setnchannels(channels)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes((np.repeat(samples, channels).clip(-1, 1) * 32767).astype("<i2").tobytes())
    return file


@pytest.mark.parametrize("hz", [100.0, 147.0, 220.0, 330.0])
def test_the_pitch_of_a_tone_is_found(hz: float) -> None:
    found = logmel_stats(Sound(tone(hz).astype(np.float32)))
    assert found.shape == (WIDTH,)
    assert found[MEDIAN] == pytest.approx(12 * np.log2(hz / 27.5), abs=0.4)
    assert found[SHARE] > 0.9


def test_noise_has_no_pitch_and_silence_is_finite() -> None:
    noise = logmel_stats(Sound(np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)))
    silence = logmel_stats(Sound(np.zeros(RATE, np.float32)))
    assert noise[SHARE] < 0.1
    assert silence[SHARE] == 0
    assert np.isfinite(silence).all()


def test_energy_and_bands_follow_the_sound() -> None:
    quiet, loud = (logmel_stats(Sound(tone(200, loud=a).astype(np.float32))) for a in (0.05, 0.5))
    assert loud[2 * BANDS] - quiet[2 * BANDS] == pytest.approx(2 * np.log(10), abs=0.05)
    low, high = (logmel_stats(Sound(tone(hz, loud=0.3).astype(np.float32)))[:BANDS].argmax() for hz in (100, 380))
    assert low < high


def test_rate_and_channels_change_little(tmp_path: Path) -> None:
    same = open_sound(write_wav(tmp_path / "a.wav", tone(200)))
    other = open_sound(write_wav(tmp_path / "b.wav", tone(200, rate=44_100), 44_100, channels=2))
    assert abs(other.seconds - same.seconds) < 0.01
    assert logmel_stats(other)[MEDIAN] == pytest.approx(logmel_stats(same)[MEDIAN], abs=0.1)


def test_what_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write_wav(tmp_path / "good.wav", tone(200))
    cut = tmp_path / "cut.wav"
    cut.write_bytes(good.read_bytes()[:2000])
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    for file, says in ((cut, "ends too early"), (text, "can't be read as WAV"), (tmp_path / "no.wav", "no such file")):
        with pytest.raises(Unreadable, match=says):
            open_sound(file)
    with pytest.raises(Unreadable, match=r"0\.04"):
        logmel_stats(open_sound(write_wav(tmp_path / "short.wav", tone(200, 0.01))))
    monkeypatch.setattr(files, "MAX_SECONDS", 0.5)
    with pytest.raises(Unreadable, match="cut it into clips"):
        open_sound(good)
    monkeypatch.setattr(files, "MAX_BYTES", 100)
    with pytest.raises(Unreadable, match="at most"):
        open_sound(good)


def test_without_opensmile_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opensmile", None)
    sound._smile.cache_clear()
    with pytest.raises(UserError, match=r"opensmile.*not free for commercial use.*beholder\[opensmile"):
        sound.egemaps(Sound(tone(200).astype(np.float32)))


def test_egemaps_are_88_numbers_that_know_the_pitch() -> None:
    pytest.importorskip("opensmile")
    sound._smile.cache_clear()
    low, high = (sound.egemaps(Sound(tone(hz, 1.0).astype(np.float32))) for hz in (110.0, 220.0))
    assert low.shape == (88,)
    assert high[0] - low[0] == pytest.approx(12, abs=0.5)
