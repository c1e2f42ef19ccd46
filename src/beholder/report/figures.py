"""Small figures as SVG text. Each says in words what it shows, for those who can't see it."""

from __future__ import annotations

from beholder.report.numbers import N_BINS, Spread
from beholder.scoring.card import Measured
from beholder.task import Task

CORRELATIONS = ("srcc", "krcc", "plcc_raw", "plcc_logistic4")
"""Metrics that `interval` can draw: their ends are -1 and 1."""


def histogram(task: Task, spread: Spread) -> str:
    """Pictures per score, with the median marked."""
    width, height, base = 500, 178, 156
    step, tallest = width / N_BINS, max(spread.counts)
    bars = [
        f'<rect class="bar" x="{i * step + 1:.1f}" y="{base - tall:.1f}" width="{step - 2:.1f}" height="{tall:.1f}">'
        f"<title>{i * 100 // N_BINS} to {(i + 1) * 100 // N_BINS}: {count:,}</title></rect>"
        for i, count in enumerate(spread.counts)
        if (tall := (base - 20) * count / tallest) > 0
    ]
    ticks = [
        f'<text x="{5 * tick}" y="{height - 4}" text-anchor="{_anchor(tick)}">{tick}</text>'
        for tick in (0, 25, 50, 75, 100)
    ]
    median = 5 * spread.median
    side = 1 if spread.median < 80 else -1
    return (
        f'<svg class="histogram {task}" viewBox="0 0 {width} {height}" role="img" aria-label="{_said(task, spread)}">'
        f'{"".join(bars)}<path class="floor" d="M0 {base}.5H{width}"/>'
        f'<path class="median" d="M{median:.1f} 12V{base}"/>'
        f'<text class="mark" x="{median + 5 * side:.1f}" y="18" text-anchor="{"start" if side > 0 else "end"}">'
        f"median {spread.median:.0f}</text>{''.join(ticks)}</svg>"
    )


def strip(task: Task, spread: Spread) -> str:
    """A line from the tenth to the ninetieth percentile, thick between the quarters, a dot at the median."""
    x = (spread.low, spread.quarter, spread.median, spread.three_quarters, spread.high)
    low, quarter, median, three_quarters, high = (f"{2 * value:.1f}" for value in x)
    return (
        f'<svg class="strip {task}" viewBox="-4 0 208 14" role="img" aria-label="{_said(task, spread)}">'
        f'<path class="floor" d="M0 7H200"/><path class="range" d="M{low} 7H{high}"/>'
        f'<path class="half" d="M{quarter} 7H{three_quarters}"/><circle cx="{median}" cy="7" r="4"/></svg>'
    )


def interval(measured: Measured) -> str:
    """A measured correlation with its interval, on a line from -1 to 1; nothing for errors, which have no such ends."""
    if measured.metric not in CORRELATIONS:
        return ""
    value, low, high = (f"{100 + 100 * end:.1f}" for end in (measured.value, measured.low, measured.high))
    words = f"{measured.value:.3f}, 95 % interval {measured.low:.3f} to {measured.high:.3f}"
    return (
        f'<svg class="strip {measured.task}" viewBox="-4 0 208 14" role="img" aria-label="{words}">'
        f'<path class="floor" d="M0 7H200M100 2V12"/><path class="half" d="M{low} 7H{high}"/>'
        f'<circle cx="{value}" cy="7" r="4"/></svg>'
    )


def _said(task: Task, spread: Spread) -> str:
    return (
        f"{task}: median {spread.median:.0f}, half of {spread.n:,} pictures from {spread.quarter:.0f} to "
        f"{spread.three_quarters:.0f}, eight in ten from {spread.low:.0f} to {spread.high:.0f}"
    )


def _anchor(tick: int) -> str:
    return {0: "start", 100: "end"}.get(tick, "middle")
