"""The four-parameter logistic curve between predictions and MOS, and its fit.

The curve `(b1 - b2) / (1 + exp(-(pred - b3) / b4)) + b2` has b1 >= b2 and b4 > 0: it can only rise. Good scorers are
often calibrated in a nearly straight line, for which b1, b2 and b4 run off together towards infinity and a search over
all four creeps until it gives up. But b1 and b2 enter linearly: for any b3 and b4 they are a straight-line fit, done
exactly at each step (variable projection), and the search has two parameters and finite limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.special import expit

Vector = NDArray[np.float64]

_MIN_ROWS = 5
_STEEPNESS = (1e-4, 1e6)
"""Bounds of std / b4. At its ends the curve is a straight line or a step; beyond, only rounding would change."""
_TAIL = 15.0
"""How far b3 may lie outside the predictions, in units of b4: there the curve is an exponential to 3e-7."""


class LogisticFitError(ValueError):
    """The curve could not be fitted; the message says why. There is no number to report instead."""


@dataclass(frozen=True)
class Logistic4:
    """`(b1 - b2) / (1 + exp(-(pred - b3) / b4)) + b2`: rises from b2 to b1, in MOS units."""

    b1: float
    b2: float
    b3: float
    """Prediction in the middle of the rise."""
    b4: float
    """Width of the rise, in units of the prediction. Above 0."""

    def __call__(self, pred: ArrayLike) -> Vector:
        """Predictions mapped to MOS units, same shape, float64."""
        rise = expit((np.asarray(pred, dtype=np.float64) - self.b3) / self.b4)
        return np.asarray((self.b1 - self.b2) * rise + self.b2)


def fit_logistic4(pred: Vector, mos: Vector) -> Logistic4:
    """Least-squares fit of `Logistic4` to finite (n,) float64 `pred` and `mos`.

    The search starts from b3 = mean and b4 = std / 4 of the predictions, as is the custom of the field; the customary
    b1 = max and b2 = min of MOS are not needed. Raises LogisticFitError for fewer than 5 rows, a constant side, no
    convergence, and where the best curve that may not fall is flat, as it is for a reversed metric.
    """
    if len(pred) < _MIN_ROWS:
        raise LogisticFitError(f"{len(pred)} rows can't hold a curve of 4 parameters; at least {_MIN_ROWS} are needed")
    if np.ptp(pred) == 0 or np.ptp(mos) == 0:
        raise LogisticFitError("predictions are constant" if np.ptp(pred) == 0 else "MOS is constant")
    z = (pred - pred.mean()) / pred.std()
    target = mos - mos.mean()
    z_low, spread = z.min(), np.ptp(z)

    # The search runs over `place`, where the middle lies from `_TAIL` below the lowest (0) to `_TAIL` above the highest
    # prediction (1), and over log(std / b4).
    def exponent(place: float, log_steep: float) -> Vector:
        """`(pred - b3) / b4`."""
        return np.asarray(np.exp(log_steep) * (z - z_low - place * spread) + _TAIL * (1 - 2 * place))

    def line(share: Vector) -> tuple[Vector, float]:
        """The logistic less its mean, and its least-squares factor b1 - b2, not below 0."""
        centred = share - share.mean()
        square = float(centred @ centred)
        return centred, max(0.0, float(centred @ target) / square) if square > 0 else 0.0

    def residuals(params: Vector) -> Vector:
        centred, factor = line(expit(exponent(*params)))
        return np.asarray(factor * centred - target)

    def jacobian(params: Vector) -> Vector:
        share = expit(exponent(*params))
        centred, factor = line(share)
        if factor == 0:
            return np.zeros((len(z), 2))
        place, steep = params[0], np.exp(params[1])
        columns = []
        for slope in (-(steep * spread + 2 * _TAIL), steep * (z - z_low - place * spread)):
            change = share * (1 - share) * slope
            change -= change.mean()
            factor_change = (change @ target - 2 * factor * (centred @ change)) / (centred @ centred)
            columns.append(factor_change * centred + factor * change)
        return np.stack(columns, axis=1)

    first = [(_TAIL - 4 * z_low) / (4 * spread + 2 * _TAIL), np.log(4)]
    bounds = ([0, np.log(_STEEPNESS[0])], [1, np.log(_STEEPNESS[1])])
    # The limits are for weak metrics, which leave large residuals: there Gauss-Newton steps get many and short.
    fit = least_squares(
        residuals, first, jacobian, bounds=bounds, x_scale="jac", ftol=1e-10, xtol=1e-10, gtol=1e-10, max_nfev=3000
    )
    if fit.status <= 0:
        raise LogisticFitError(f"no convergence after {fit.nfev} evaluations")
    t = exponent(*fit.x)
    share = expit(t)
    _, factor = line(share)
    if factor * np.ptp(share) <= 1e-9 * np.ptp(mos):
        raise LogisticFitError("the best rising curve is flat: MOS does not rise with the predictions (reversed?)")
    b2, b4 = float(mos.mean() - factor * share.mean()), float(pred.std() / np.exp(fit.x[1]))
    return Logistic4(b1=b2 + factor, b2=b2, b3=float(pred[0] - b4 * t[0]), b4=b4)
