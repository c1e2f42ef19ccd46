"""`logmel_stats`: how loud, how high and of what colour a voice is, in 130 numbers, by NumPy and SciPy alone.

Frames of 40 ms every 10 ms. Means and standard deviations over the clip of 40 log-mel bands and 13 cepstral
coefficients, the standard deviation of their changes over 50 ms, statistics of level and pitch, and how much of the
clip is voiced or quiet.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.fft import dct, irfft, next_fast_len, rfft

from beholder.extract.sound import Sound, read_sound

BANDS, CEPSTRA = 40, 13

_WINDOW_S, _HOP_S = 0.04, 0.01
_DELTA = 5
"""Frames over which a change is taken."""
_PITCH_HZ = (60.0, 500.0)
_FLOOR = 1e-10
_QUIET_DB = 25.0
"""Below the loudest frame."""
_AT_ONCE = 2_000
"""Frames whose spectra are in memory together."""

Array = NDArray[np.float64]


class Config(BaseModel):
    """Settings of `logmel_stats`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: int = Field(default=16_000, ge=8_000, le=48_000)
    """Hz that sound is resampled to."""
    voiced_at: float = Field(default=0.45, gt=0, lt=1)
    """Height of the peak of the autocorrelation from which a frame has a pitch."""


def measure(source: Path, config: Config) -> Array:
    """(130,) of a sound file. Raises ExtractError where it can't be read."""
    return statistics(read_sound(source, config.rate), config.voiced_at)


def statistics(sound: Sound, voiced_at: float = Config().voiced_at) -> Array:
    """(130,) of a sound of at least one frame.

    Order: 40 band means, 40 band deviations (natural log of power), 13 cepstral means, deviations, deviations of
    changes; level in dB: deviation, 10th to 90th percentile range, deviation of changes; share of quiet frames; pitch
    in semitones from 27.5 Hz: mean, deviation, 20th to 80th percentile range, deviation of changes; voiced share; mean
    and deviation of the spectral centroid in octaves from 27.5 Hz. Bands are relative to the mean level of the clip,
    so a louder recording of the same voice gives the same numbers. Without a voiced frame the pitch is 0.
    """
    window = round(_WINDOW_S * sound.rate)
    samples = np.pad(sound.samples.astype(np.float64), (0, max(0, window - len(sound.samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[:: round(_HOP_S * sound.rate)]
    parts = [_spectra(frames[i : i + _AT_ONCE], sound.rate) for i in range(0, len(frames), _AT_ONCE)]
    logmel, level, pitch, strength, centroid = (np.concatenate(column) for column in zip(*parts, strict=True))
    logmel = logmel - np.mean(level) / 10 * np.log(10)
    cepstra = dct(logmel, norm="ortho", axis=1)[:, :CEPSTRA]
    loud = level >= level.max() - _QUIET_DB
    voiced = loud & (strength >= voiced_at)
    semitones = 12 * np.log2(pitch[voiced] / 27.5)
    tone = (
        [semitones.mean(), semitones.std(), _range(semitones, 20, 80), _change(semitones)]
        if voiced.any()
        else [0.0] * 4
    )
    rest = [
        level.std(),
        _range(level, 10, 90),
        _change(level),
        1 - loud.mean(),
        *tone,
        voiced.mean(),
        centroid[loud].mean(),
        centroid[loud].std(),
    ]
    return np.concatenate(
        [
            logmel[loud].mean(axis=0),
            logmel[loud].std(axis=0),
            cepstra[loud].mean(axis=0),
            cepstra[loud].std(axis=0),
            _changes(cepstra).std(axis=0),
            rest,
        ]
    )


def _spectra(frames: Array, rate: int) -> tuple[Array, Array, Array, Array, Array]:
    """Of frames (t, w): log-mel (t, 40); level in dB, pitch in Hz, its strength, centroid in octaves, (t,) each."""
    size = next_fast_len(2 * frames.shape[1], real=True)
    window = np.hanning(frames.shape[1])
    windowed = (frames - frames.mean(axis=1, keepdims=True)) * window
    power = np.abs(rfft(windowed, size, axis=1)) ** 2
    logmel = np.log(power @ _mel_filters(rate, size).T + _FLOOR)
    level = 10 * np.log10((frames**2).mean(axis=1) + _FLOOR)
    octaves = np.log2(np.fft.rfftfreq(size, 1 / rate)[1:] / 27.5)
    centroid = (power[:, 1:] @ octaves) / (power[:, 1:].sum(axis=1) + _FLOOR)
    # Divided by the window's own autocorrelation, so that a periodic sound has peaks near 1 (Boersma 1993).
    own = irfft(np.abs(rfft(window, size)) ** 2)
    correlation = irfft(power, size, axis=1)
    shortest, longest = int(rate / _PITCH_HZ[1]), min(int(rate / _PITCH_HZ[0]), frames.shape[1] // 2 + 1)
    lags = slice(shortest, longest + 1)
    energy = correlation[:, :1]
    height = correlation[:, lags] / np.where(energy > _FLOOR, energy, np.inf) / (own[lags] / own[0])
    # A small cost of long lags: of two peaks of equal height the shorter one is the period.
    best = (height - 0.01 * np.log2(np.arange(shortest, longest + 1) / shortest)).argmax(axis=1)
    strength = np.take_along_axis(height, best[:, None], axis=1)[:, 0]
    return logmel, level, rate / (best + shortest), strength, centroid


@lru_cache(maxsize=8)
def _mel_filters(rate: int, size: int) -> Array:
    """(40, bins) triangles of equal area, their centres equally far apart in mel from 50 Hz to 7 kHz or the end."""
    bins = np.fft.rfftfreq(size, 1 / rate)
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (50.0, min(7_000.0, rate / 2)))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    left, centre, right = (edges[i : i + BANDS, None] for i in range(3))
    triangles: Array = np.clip(np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)), 0, None)
    return triangles * 2 / (right - left) / size


def _changes(values: Array) -> Array:
    step = min(_DELTA, len(values) - 1)
    return values[step:] - values[:-step] if step else np.zeros_like(values)


def _change(values: Array) -> float:
    return float(_changes(values).std())


def _range(values: Array, low: float, high: float) -> float:
    first, last = np.percentile(values, [low, high])
    return float(last - first)
