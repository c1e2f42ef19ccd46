"""Sound to vectors: statistics of a log-mel spectrogram, energy and pitch; or eGeMAPS through openSMILE."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from beholder.errors import UserError
from beholder.tical.raw.files import RATE, Sound, Unreadable

Array = NDArray[np.float64]

BANDS = 40
WIDTH = 2 * BANDS + 9
"""Features of `logmel_stats`."""

_FRAME, _HOP, _FFT = RATE // 25, RATE // 100, 1024
_LOWEST, _HIGHEST = 60.0, 400.0
"""Pitch in Hz that is looked for."""
_VOICED = 0.5
"""A frame's autocorrelation at its pitch, from which it counts as voiced."""
_FLOOR = 1e-8
_LOWEST_A = 27.5


def logmel_stats(sound: Sound) -> Array:
    """(89,): mean and sd of 40 log-mel bands (natural log of power); of the frames' log energy mean, sd, 10 % and 90 %
    quantile; of the pitch of voiced frames, in semitones from 27.5 Hz, median, sd, 10 % and 90 % quantile, then their
    share. Without a voiced frame pitch is 0.

    Frames of 40 ms every 10 ms. Raises Unreadable for less than one frame.
    """
    if len(sound.samples) < _FRAME:
        raise Unreadable(f"the sound takes {sound.seconds:.3f} s; {_FRAME / RATE} are needed")
    frames = np.lib.stride_tricks.sliding_window_view(sound.samples.astype(np.float64), _FRAME)[::_HOP]
    windowed = frames * np.hanning(_FRAME)
    power = np.abs(rfft(windowed, _FFT, axis=1)) ** 2 / _FRAME
    bands = np.log(power @ _mel_filters().T + _FLOOR)
    energy = np.log((frames**2).mean(axis=1) + _FLOOR)
    pitch, voiced = _pitch(windowed, energy)
    parts = (bands.mean(axis=0), bands.std(axis=0), _spread(energy, np.mean), _spread(pitch[voiced], np.median))
    return np.concatenate([*parts, [voiced.mean()]])


def egemaps(sound: Sound) -> Array:
    """(88,): the functionals of eGeMAPSv02, by openSMILE, an extra that is not free for commercial use."""
    found: Array = _smile().process_signal(sound.samples, RATE).to_numpy(np.float64)[0]
    if not np.isfinite(found).all():
        raise Unreadable("openSMILE gives features that are not finite")
    return found


def _pitch(windowed: Array, energy: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Semitones from 27.5 Hz, and which frames are voiced."""
    spectrum = np.abs(rfft(windowed, 2 * _FFT, axis=1)) ** 2
    window = irfft(np.abs(rfft(np.hanning(_FRAME), 2 * _FFT)) ** 2)
    first, last = int(RATE / _HIGHEST), int(RATE / _LOWEST)
    # A window makes the correlation fall with the lag; dividing by its own undoes that.
    correlation = irfft(spectrum, axis=1)[:, : last + 1] / (window[: last + 1] / window[0])
    normal = correlation[:, first:] / np.maximum(correlation[:, :1], _FLOOR)
    # Multiples of the period are as high: the first peak that is nearly the highest is the period.
    inner = normal[:, 1:-1]
    peaks = (inner >= normal[:, :-2]) & (inner >= normal[:, 2:])
    height = np.where(peaks, inner, -np.inf)
    best = height.max(axis=1, initial=-np.inf)
    lag = np.argmax(height >= 0.9 * np.maximum(best, 0)[:, None], axis=1) + first + 1
    voiced = (best > _VOICED) & (energy > energy.max() - np.log(1000)) & (energy > np.log(10 * _FLOOR))
    return 12 * np.log2(RATE / lag / _LOWEST_A), voiced


def _spread(values: Array, middle: Any) -> Array:
    if not len(values):
        return np.zeros(4)
    return np.array([middle(values), values.std(), *np.quantile(values, [0.1, 0.9])])


@cache
def _mel_filters() -> Array:
    """(BANDS, bins): triangles, evenly spaced in mel from 50 Hz to 7.6 kHz."""
    low_mel, high_mel = (2595 * np.log10(1 + hz / 700) for hz in (50.0, 7600.0))
    mel = np.linspace(low_mel, high_mel, BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(_FFT, 1 / RATE)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    return np.asarray(np.maximum(0, np.minimum(rising, falling)))


@cache
def _smile() -> Any:
    try:
        import opensmile
    except ModuleNotFoundError:
        raise UserError(
            "egemaps needs opensmile, which is not installed, and not free for commercial use. "
            "Try: pip install 'beholder[opensmile]', or --extract with logmel_stats"
        ) from None
    return opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
