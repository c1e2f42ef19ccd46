"""How far attention reaches and how errors of coarse scales grow, of the models of the ablation; two plots.

    python bench/alignvar_diagnose.py recipes/alignvar/ablation-nano.yaml
    python bench/alignvar_diagnose.py --draw             # the plots again, from the stored result

Measured by the ablation itself at the end of each run; here it is put together. The rows shown must be finished for all
seeds of the recipe. Held-out photos, one crop each, half of them clean and half degraded. Means over seeds and photos,
intervals over both. Needs `pip install '.[train]' matplotlib`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from record import RESULTS, ROOT, Table, publish, script

from beholder.alignvar.ablation import EXAMPLE, AblationRecipe, stored
from beholder.alignvar.diagnose import SHARE, uniform_distance
from beholder.errors import UserError
from beholder.evaluate.crossed import crossed_mean
from beholder.training.recipe import read_recipe

NAME = "alignvar-diagnose"
ROWS = ("full", "no SCA", "random guidance", "no HCC")
PLOTS = {"attention": "alignvar-attention.svg", "drift": "alignvar-drift.svg"}
PANELS = {
    "attention": {"attention": "mean attention distance, cells of the last scale"},
    "drift": {"carried": "share of the error left in the last latent", "picture": "error of the picture, of 255"},
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # told apart by colour-blind eyes too

Values = NDArray[np.float64]
Series = list[dict[str, float | None]]
"""Per scale `mean` and `half` of its interval."""


def over_seeds_and_photos(values: Sequence[Values]) -> Series:
    """One [N, K] per seed -> per scale the mean and half of its interval."""
    stacked = np.stack(list(values))
    return [dict(zip(("mean", "half"), crossed_mean(stacked[..., k]), strict=True)) for k in range(stacked.shape[2])]


def diagnose(recipe: AblationRecipe, results: Path, rows: Sequence[str]) -> dict[str, Any]:
    """`rows`: row -> what -> a series; `differences` from the first row, same seeds and photos; scales; `uniform`."""
    scales = recipe.base.model.tokeniser.scales
    found: dict[str, dict[str, list[Values]]] = {row: {} for row in rows}
    for row in rows:
        for seed in recipe.seeds:
            for what, values in stored(recipe, row, seed, results)["diagnosed"].items():
                found[row].setdefault(what, []).append(np.array(values, np.float64))
    first = found[rows[0]]
    return {
        "scales": list(scales),
        "uniform": uniform_distance(scales).tolist(),
        "share": SHARE,
        "photos": len(first["attention"][0]),
        "seeds": list(recipe.seeds),
        "rows": {
            row: {what: over_seeds_and_photos(values) for what, values in parts.items()} for row, parts in found.items()
        },
        "differences": {
            row: {
                what: over_seeds_and_photos([b - a for a, b in zip(first[what], values, strict=True)])
                for what, values in parts.items()
            }
            for row, parts in found.items()
            if row != rows[0]
        },
    }


def table_of(result: Mapping[str, Any]) -> Table:
    """A line per row and measure, a column per scale; where a difference from the first row is no null, a star."""
    titles = {"attention": "attention, cells", "carried": "error left", "picture": "picture, of 255"}
    lines = [["attention to all alike", *(f"{value:.2f}" for value in result["uniform"])]]
    for row, parts in result["rows"].items():
        against = result["differences"].get(row, {})
        for what, series in parts.items():
            gaps = against.get(what, [None] * len(series))
            cells = [f"{one['mean']:.2f}{_star(gap)}" for one, gap in zip(series, gaps, strict=True)]
            lines.append([f"{row}: {titles[what]}", *cells])
    return Table(["", *(f"{side}x{side}" for side in result["scales"])], lines)


def _star(gap: Mapping[str, float | None] | None) -> str:
    if gap is None or gap["half"] is None or gap["mean"] is None:
        return ""
    return "*" if abs(gap["mean"]) > gap["half"] else ""


def draw(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """The two plots, as SVG; the same bytes for the same result and matplotlib."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    scales = [f"{side}x{side}" for side in result["scales"]]
    written = []
    with mpl.rc_context({"svg.hashsalt": NAME, "svg.fonttype": "none", "font.size": 9}):
        for what, panels in PANELS.items():
            figure = Figure(figsize=(4.8 * len(panels), 3.2), layout="constrained")
            for axes, (series, title) in zip(np.ravel(figure.subplots(1, len(panels))), panels.items(), strict=True):
                _draw_rows(axes, result["rows"], series)
                axes.set_xticks(range(len(scales)), scales)
                axes.set_xlabel("scale that looks" if what == "attention" else "scale whose codes were replaced")
                axes.set_title(title, fontsize=9)
                axes.set_ylim(bottom=0)
                axes.spines[["top", "right"]].set_visible(False)
                if series == "attention":
                    axes.plot(result["uniform"], color="grey", linestyle=":", label="all alike")
                if series == "carried":
                    axes.axhline(1, color="grey", linestyle=":", linewidth=1)
                axes.legend(frameon=False)
            file = folder / PLOTS[what]
            figure.savefig(file, metadata={"Date": None})
            written.append(file)
    return written


def _draw_rows(axes: Any, rows: Mapping[str, Mapping[str, Series]], what: str) -> None:
    for i, (row, parts) in enumerate(rows.items()):
        series = parts[what]
        halves = [one["half"] for one in series]
        at = np.arange(len(series)) + 0.08 * (i - (len(rows) - 1) / 2)
        axes.errorbar(
            at,
            [one["mean"] for one in series],
            None if None in halves else halves,
            color=COLOURS[i % len(COLOURS)],
            marker="o",
            markersize=3,
            capsize=2,
            linewidth=1,
            label=row,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, store, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", type=Path, help="of the ablation")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), help="the first is what the others are compared with")
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--plots", type=Path, default=ROOT / "docs")
    given = parser.parse_args(arguments)
    file = given.results / f"{NAME}.json"
    if not given.draw:
        if given.recipe is None:
            raise UserError("which ablation? Give its recipe, or --draw")
        result = diagnose(read_recipe(given.recipe, AblationRecipe, EXAMPLE), given.results, given.rows)
        publish(
            NAME,
            f"Per scale, means over {result['photos']} held-out photos and {len(result['seeds'])} seeds: how far it "
            f"looks; and with {SHARE:.0%} of its codes replaced, at least one, the share of that error left at "
            "the end",
            table_of(result),
            measured=result,
            notes=[f"*: differs from {given.rows[0]}, the 95 % interval over seeds and photos leaves out 0."],
            busy_before=None,
            folder=given.results,
        )
    if not file.is_file():
        raise UserError(f"{file} is not there; measure first")
    for plot in draw(json.loads(file.read_bytes())["measured"], given.plots):
        print(plot)


if __name__ == "__main__":
    script(main)
