"""The baseline to beat: 190-odd classical statistics of a picture and a support-vector regressor.

Natural-scene statistics after Mittal et al. (BRISQUE, IEEE TIP 2012: MSCN coefficients and the products of
neighbours, here at four scales) beside gradients, local sharpness, exposure, colour, the power spectrum and blocking.
No learned feature: what this reaches is what a network has to earn its place against.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import gamma
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVR

from beholder.data.columns import Split
from beholder.data.manifest import Manifest
from beholder.imaging.fit import Fit
from beholder.imaging.open import open_image

Plane = NDArray[np.float64]

_FOLDS = 5
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_SHAPES = np.arange(0.2, 10.0, 0.005)
_GGD_RATIO = gamma(2 / _SHAPES) ** 2 / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))


def statistics(rgb: NDArray[np.uint8]) -> dict[str, float]:
    """About 190 named statistics of an RGB picture, uint8 (H, W, 3) with both sides at least 64 px; all finite."""
    linear = rgb.astype(np.float64) / 255.0
    luma = linear @ np.array([0.299, 0.587, 0.114])
    found: dict[str, float] = {}
    plane = luma
    for scale in range(4):
        found |= _named(f"mscn{scale}", _natural_scene(plane))
        found |= _named(f"edges{scale}", _edges(plane)) if scale < 2 else {}
        found[f"sharp{scale}.log_var_laplace"] = float(np.log(ndimage.laplace(plane).var() + 1e-8))
        plane = _half(plane)
    found |= _named("map", _sharpness_map(luma))
    found |= _named("exposure", _exposure(luma))
    found |= _named("colour", _colour(linear))
    found |= _named("spectrum", _spectrum(luma))
    found |= _named("block", _blocking(luma))
    return found


def measure(path: str) -> list[float]:
    """Statistics of one file, as scoring would see it."""
    return list(statistics(open_image(path, fit=Fit()).rgb).values())


def predict_baseline(manifest: Manifest, train_splits: Sequence[Split], file: Path, workers: int) -> Path:
    """Fit on some splits of a manifest and predict all of it; writes `path` and `<task>` (0-100) to `file`.

    A picture of those splits is predicted by a fit that saw neither it nor its group, so every row is honest.
    """
    with ProcessPoolExecutor(workers) as pool:
        features = np.array(list(pool.map(measure, map(str, manifest.paths()), chunksize=8)))
    seen = np.isin(manifest.column("split"), list(train_splits))
    groups = [group for group, train in zip(manifest.groups(), seen, strict=True) if train]
    unit = manifest.unit_scores()
    model = fit_baseline(features[seen], unit[seen], groups)
    predicted = model.predict(features)
    predicted[seen] = cross_val_predict(model, features[seen], unit[seen], cv=GroupKFold(_FOLDS), groups=groups)
    columns = {"path": manifest.column("path"), manifest.task: 100 * predicted}
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)
    return file


def fit_baseline(features: NDArray[np.float64], scores: NDArray[np.float64], groups: list[str]) -> Any:
    """RBF support-vector regressor on standardised statistics; C, gamma and epsilon by grouped cross-validation.

    `features` is (n, k), `scores` (n,) in [0, 1], `groups` keeps a scene on one side of every fold.
    """
    # Rank-based scaling first: several statistics have tails that would rule every RBF distance.
    squash = QuantileTransformer(output_distribution="normal", n_quantiles=200, random_state=0)
    pipeline = make_pipeline(squash, StandardScaler(), SVR(cache_size=500))
    grid = {"svr__C": [0.3, 1.0, 3.0], "svr__gamma": [0.0005, 0.001, 0.002, 0.004], "svr__epsilon": [0.03, 0.06]}
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(_FOLDS), scoring="neg_mean_squared_error")
    return search.fit(features, scores, groups=groups).best_estimator_


def _named(room: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{room}.{name}": float(value) for name, value in values.items()}


def _half(plane: Plane) -> Plane:
    height, width = (side // 2 * 2 for side in plane.shape)
    cells: Plane = plane[:height, :width].reshape(height // 2, 2, width // 2, 2)
    return np.asarray(cells.mean(axis=(1, 3)))


def _quantiles(values: NDArray[np.float64], label: str) -> dict[str, float]:
    return {f"{label}_p{q}": v for q, v in zip(_PERCENTILES, np.percentile(values, _PERCENTILES), strict=True)}


def mscn(plane: Plane) -> Plane:
    """Mean-subtracted, contrast-normalised luma: 7-tap Gaussian window, sigma 7/6, constant 1/255."""
    mean = ndimage.gaussian_filter(plane, 7 / 6, truncate=3 / (7 / 6))
    square = ndimage.gaussian_filter(plane * plane, 7 / 6, truncate=3 / (7 / 6))
    deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
    return np.asarray((plane - mean) / (deviation + 1 / 255))


def _natural_scene(plane: Plane) -> dict[str, float]:
    """GGD fit of the MSCN coefficients and AGGD fits of the four neighbour products (BRISQUE, equations 2-10)."""
    field = mscn(plane)
    power = np.mean(field**2) + 1e-12
    ratio = np.mean(np.abs(field)) ** 2 / power
    found = {"shape": _SHAPES[np.argmin((_GGD_RATIO - ratio) ** 2)], "power": power}
    pairs = {
        "right": (field[:, :-1], field[:, 1:]),
        "down": (field[:-1], field[1:]),
        "diag": (field[:-1, :-1], field[1:, 1:]),
        "anti": (field[:-1, 1:], field[1:, :-1]),
    }
    for label, (a, b) in pairs.items():
        product = a * b
        left, right = product[product < 0], product[product > 0]
        sigma_left = np.sqrt(np.mean(left**2)) if left.size else 1e-6
        sigma_right = np.sqrt(np.mean(right**2)) if right.size else 1e-6
        balance = sigma_left / (sigma_right + 1e-12)
        r = np.mean(np.abs(product)) ** 2 / (np.mean(product**2) + 1e-12)
        r *= (balance**3 + 1) * (balance + 1) / (balance**2 + 1) ** 2
        shape = _SHAPES[np.argmin((_GGD_RATIO - r) ** 2)]
        stretch = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
        mean = (sigma_right - sigma_left) * stretch * gamma(2 / shape) / gamma(1 / shape)
        found |= {f"{label}_shape": shape, f"{label}_mean": mean}
        found |= {f"{label}_left": sigma_left**2, f"{label}_right": sigma_right**2}
    return found


def _edges(plane: Plane) -> dict[str, float]:
    slope = np.hypot(ndimage.sobel(plane, 0), ndimage.sobel(plane, 1))
    return _quantiles(slope, "slope") | _quantiles(np.abs(ndimage.laplace(plane)), "laplace")


def _tiles(plane: Plane, side: int) -> Plane:
    height, width = (length // side * side for length in plane.shape)
    tiles = plane[:height, :width].reshape(height // side, side, width // side, side)
    return tiles.transpose(0, 2, 1, 3).reshape(height // side, width // side, side * side)


def _sharpness_map(luma: Plane) -> dict[str, float]:
    """Sharpness and contrast of 32 px tiles: the sharpest tile says whether anything is in focus."""
    sharp = np.log(_tiles(ndimage.laplace(luma), 32).var(axis=-1) + 1e-8)
    contrast = _tiles(luma, 32).std(axis=-1)
    rows, cols = sharp.shape
    inner = sharp[rows // 4 : rows - rows // 4, cols // 4 : cols - cols // 4]
    relative = sharp - np.log(contrast**2 + 1e-4)
    return (
        _quantiles(sharp, "sharp")
        | _quantiles(contrast, "contrast")
        | _quantiles(relative, "relative")
        | {"focus": float(inner.mean() - sharp.mean()), "spread": float(sharp.std())}
    )


def _exposure(luma: Plane) -> dict[str, float]:
    counts = np.bincount((luma * 255).astype(int).ravel(), minlength=256) / luma.size
    level = (luma - luma.mean()) / (luma.std() + 1e-6)
    tiles = _tiles(luma, 32).mean(axis=-1)
    return _quantiles(luma, "luma") | {
        "mean": luma.mean(),
        "deviation": luma.std(),
        "skew": float(np.mean(level**3)),
        "kurtosis": float(np.mean(level**4)),
        "entropy": float(-np.sum(counts * np.log2(counts + 1e-12))),
        "black": counts[:10].sum(),
        "white": counts[246:].sum(),
        "clipped": counts[0] + counts[255],
        "used_levels": float(np.mean(counts > 1e-5)),
        "tile_dark": np.mean(tiles < 0.1),
        "tile_bright": np.mean(tiles > 0.9),
    }


def _colour(linear: NDArray[np.float64]) -> dict[str, float]:
    red, green, blue = linear[..., 0], linear[..., 1], linear[..., 2]
    high, low = linear.max(axis=-1), linear.min(axis=-1)
    saturation = (high - low) / (high + 1e-3)
    rg, yb = red - green, (red + green) / 2 - blue
    dark = ndimage.minimum_filter(low, 7)[::4, ::4]
    angle = np.arctan2(yb, rg)[saturation > 0.1]
    hue = np.histogram(angle, 16, (-np.pi, np.pi))[0] / max(angle.size, 1)
    found = {
        "rg_mean": rg.mean(),
        "rg_deviation": rg.std(),
        "yb_mean": yb.mean(),
        "yb_deviation": yb.std(),
        "colourful": np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()),
        "hue_entropy": float(-np.sum(hue * np.log2(hue + 1e-12))),
        "red_blue": float(np.log((red.mean() + 0.01) / (blue.mean() + 0.01))),
        "chroma_edges": float(np.log(ndimage.laplace(rg).var() + ndimage.laplace(yb).var() + 1e-8)),
        "clip_any": float(np.mean(high > 0.98)),
    }
    return found | _quantiles(saturation, "saturation") | _quantiles(dark, "dark_channel")


@cache
def _rings(height: int, width: int) -> NDArray[np.int64]:
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    return np.asarray(np.clip((np.hypot(fy, fx) * 2 * 12).astype(np.int64), 0, 13))


def _spectrum(luma: Plane) -> dict[str, float]:
    """Log power in 12 rings of frequency, and the line through them (natural pictures fall as 1 / f**2)."""
    window = np.hanning(luma.shape[0])[:, None] * np.hanning(luma.shape[1])[None]
    power = np.abs(np.fft.rfft2((luma - luma.mean()) * window)) ** 2 / luma.size
    rings = _rings(*luma.shape)
    sums = np.bincount(rings.ravel(), power.ravel(), 14)[:12]
    counts = np.bincount(rings.ravel(), minlength=14)[:12]
    logs = np.log(sums / counts + 1e-9)
    x = np.log((np.arange(12) + 0.5) / 24)
    slope, level = np.polyfit(x, logs, 1)
    found = {f"ring{i}": value for i, value in enumerate(logs)}
    return found | {"slope": slope, "level": level, "bend": float(np.std(logs - (slope * x + level)))}


def _blocking(luma: Plane) -> dict[str, float]:
    """Jump across the 8 px grid of JPEG against the jump inside its blocks."""
    found = {}
    for label, jump in (("across", np.abs(np.diff(luma, axis=1))), ("down", np.abs(np.diff(luma, axis=0)).T)):
        column = jump.mean(axis=0)
        phase = np.array([column[offset::8].mean() for offset in range(8)])
        found[f"{label}_ratio"] = float(np.log((phase[7] + 1e-5) / (np.delete(phase, 7).mean() + 1e-5)))
        found[f"{label}_best"] = float(np.log((phase.max() + 1e-5) / (np.median(phase) + 1e-5)))
        found[f"{label}_flat"] = float(np.mean(jump < 0.5 / 255))
    return found
