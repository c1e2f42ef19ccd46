"""Markdown tables made from stored results only, put between markers of a document.

`<!-- table:NAME -->` and `<!-- /table -->` stand on lines of their own; what is between them is rendered from
`RESULTS/NAME.json`, the table that a measurement of `bench/` stored, or else from `RESULTS/NAME/*/result.json`, one row
per result and per part, in the order of the folder names. Where there is no result yet, `Not measured yet.` may stand
between the lines, and nothing else.

    python -m beholder.evaluate.tables README.md --results bench/results [--check]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from beholder.batch.files import replacing
from beholder.errors import UserError
from beholder.evaluate.bootstrap import Estimate
from beholder.evaluate.result import RESULT_FILE, Part, Result, read_result

METRIC_TITLES = {
    "srcc": "SRCC",
    "krcc": "KRCC",
    "plcc_raw": "PLCC (raw)",
    "plcc_logistic4": "PLCC (logistic)",
    "rmse": "RMSE",
    "mae": "MAE",
}

NOT_YET = "Not measured yet.\n"

_MARKED = re.compile(r"(?ms)^(<!-- table:(?P<name>[\w.-]+) -->\n)(?P<body>.*?)^(<!-- /table -->)$")
_OPENED = re.compile(r"(?m)^\s*<!-- table:.*$")


def render(results: Sequence[Result], metrics: Sequence[str] = ("srcc", "plcc_logistic4")) -> str:
    """A Markdown table: a row per result, and below it one per value of its `by` column. Ends with a newline.

    Numbers carry their 95 % interval; one that could not be measured is a dash.
    """
    header = ["model", "data", "task", "scored", *(METRIC_TITLES[name] for name in metrics)]
    lines = [_line(header), _line(["---"] * 3 + ["---:"] * (len(header) - 3))]
    for result in results:
        data = f"{result.manifest}:{result.split}"
        parts: list[tuple[str, Part]] = [(data, result)]
        parts += [(f"{data}, {result.by_column} {value}", part) for value, part in result.by.items()]
        for name, part in parts:
            scored = f"{part.n_scored} / {part.n_total}"
            cells = [_number(part.metrics[metric]) for metric in metrics]
            lines.append(_line([result.model, name, result.task, scored, *cells]))
    return "".join(lines)


def render_stored(file: Path) -> str:
    """The Markdown of a table as a measurement stored it: `table.columns`, `table.rows`, and a `caption` below.

    All cells are text, as they were printed; the first column is aligned as words, the others as numbers. Raises
    UserError for any other JSON.
    """
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        columns, rows = list(stored["table"]["columns"]), [list(row) for row in stored["table"]["rows"]]
        caption = str(stored["caption"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} holds no table: {type(error).__name__} {error}; run its script in bench/ again"
        ) from None
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    return "".join(_line(cells) for cells in (columns, rule, *rows)) + f"\n{caption}\n"


def fill(document: Path, results: Path, *, check: bool = False) -> list[str]:
    """Render every marked table of `document` from the folders in `results`; returns the names of those that changed.

    With `check` the document stays as it is. Raises UserError for a marker without an end or without results.
    """
    text = document.read_text(encoding="utf-8")
    if len(_OPENED.findall(text)) != len(_MARKED.findall(text)):
        raise UserError(
            f"{document}: a table marker is damaged; needed are <!-- table:NAME --> and <!-- /table --> lines"
        )
    changed = []

    def table(match: re.Match[str]) -> str:
        stored = results / f"{match['name']}.json"
        files = sorted((results / match["name"]).glob(f"*/{RESULT_FILE}"))
        if not files and not stored.is_file():
            if match["body"] == NOT_YET:
                return match[0]
            raise UserError(
                f"{document}: table {match['name']!r} needs {stored} or {results / match['name']}/*/{RESULT_FILE}"
            )
        body = render_stored(stored) if stored.is_file() else render([read_result(file) for file in files])
        if body != match["body"]:
            changed.append(match["name"])
        return f"{match[1]}{body}{match[4]}"

    filled = _MARKED.sub(table, text)
    if changed and not check:
        with replacing(document) as temporary:
            temporary.write_text(filled, encoding="utf-8")
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill or check documents; exit code 1 where `--check` finds a table that its results don't back."""
    parser = argparse.ArgumentParser(prog="python -m beholder.evaluate.tables", description=__doc__.splitlines()[0])
    parser.add_argument("documents", nargs="+", type=Path)
    parser.add_argument("--results", type=Path, default=Path("bench/results"))
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if something would change")
    given = parser.parse_args(arguments)
    stale = 0
    for document in given.documents:
        try:
            names = fill(document, given.results, check=given.check)
        except (UserError, FileNotFoundError) as error:
            print(error, file=sys.stderr)
            return 1
        for name in names:
            print(f"{document}: table {name} {'is not what its results say' if given.check else 'updated'}")
            stale += given.check
    return 1 if stale else 0


def _number(estimate: Estimate) -> str:
    if estimate.value is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _line(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |\n"


if __name__ == "__main__":
    sys.exit(main())
