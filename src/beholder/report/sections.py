"""The parts of the page that need no script. Whatever comes from files or cards is escaped here."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from html import escape

import pyarrow as pa
import pyarrow.compute as pc

from beholder.batch.report import printable
from beholder.batch.sort import sorted_rows
from beholder.report.figures import histogram, interval, strip
from beholder.report.gallery import Places, tasks_in
from beholder.report.numbers import Folder, Maker, Spread
from beholder.scoring.card import Card
from beholder.task import TASKS, Task

N_EXTREMES = 6
"""Pictures in each list of highest and lowest scores."""

MOST_FOLDERS = 300
MOST_FAILURES = 500
"""Rows of a table on the page; what is beyond is counted."""

ENDS: dict[Task, tuple[str, str]] = {
    "quality": ("Highest quality", "Lowest quality"),
    "aesthetics": ("Most beautiful", "Least beautiful"),
}

MEANINGS = {
    "unreadable": "missing, empty, truncated or damaged",
    "unsupported": "not a picture, or in a format that is not read",
    "too_large": "more pixels than the run allowed",
    "too_small": "a side under 32 pixels",
    "timeout": "took longer than the time limit",
    "crashed": "the decoder took its process down",
    "unparsed": "the model's answer holds no score",
}


def histograms(spreads: Mapping[Task, Spread]) -> str:
    """A histogram per task."""
    return "".join(
        f'<figure><figcaption><h3 class="task {task}">{task.capitalize()}</h3>'
        f'<span class="soft small">half lie between {spread.quarter:.0f} and {spread.three_quarters:.0f}</span>'
        f"</figcaption>{histogram(task, spread)}</figure>"
        for task, spread in spreads.items()
    )


def extremes(scored: pa.Table) -> dict[str, pa.Table]:
    """The rows with the highest and the lowest scores of each task, by title. Empty below four pictures."""
    n = min(N_EXTREMES, len(scored) // 2)
    lists: dict[str, pa.Table] = {}
    for task in tasks_in(scored) if n >= 2 else ():
        known = sorted_rows(scored.filter(pc.is_valid(scored[task])), task)
        highest, lowest = ENDS[task]
        lists[highest] = known.take(pa.array(range(len(known) - 1, len(known) - 1 - n, -1)))
        lists[lowest] = known.slice(0, n)
    return lists


def extremes_section(lists: Mapping[str, pa.Table], images: Mapping[str, str | None], places: Places) -> str:
    """`images` are thumbnails as base64 by path."""
    parts = []
    tasks = {title: task for task in TASKS for title in ENDS[task]}
    for title, rows in lists.items():
        tiles = "".join(
            _tile(path, score, tasks[title], images[path], places.url(path))
            for path, score in zip(rows["path"].to_pylist(), rows[tasks[title]].to_pylist(), strict=True)
        )
        parts.append(f'<div><h3 class="task {tasks[title]}">{title}</h3><ol class="extremes">{tiles}</ol></div>')
    return "".join(parts)


def folder_rows(folders: Sequence[Folder], tasks: Sequence[Task], root: str) -> str:
    """Table rows, one per folder."""
    rows = []
    for folder in folders[:MOST_FOLDERS]:
        cells = "".join(_spread_cells(task, folder.spreads.get(task)) for task in tasks)
        name = escape(printable(os.path.relpath(folder.path or ".", root or ".")))
        rows.append(
            f'<tr><th scope="row"><button class="plain folder" data-folder="{escape(folder.path)}">{name}</button></th>'
            f'<td class="number">{folder.n:,}</td><td class="number">{_fault(folder.n_failed)}</td>{cells}</tr>'
        )
    if len(folders) > MOST_FOLDERS:
        rows.append(f'<tr><td colspan="9" class="soft">and {len(folders) - MOST_FOLDERS:,} folders more</td></tr>')
    return "".join(rows)


def folder_heads(tasks: Sequence[Task]) -> str:
    """The column heads above the spreads of each task."""
    return "".join(f'<th scope="col" class="number">{task}</th><th scope="col">0 to 100</th>' for task in tasks)


def failures_section(failed: pa.Table, scores_name: str) -> str:
    """What could not be scored, with the reason of each; a sentence where all could."""
    if not len(failed):
        return "<p>None: every picture has a score.</p>"
    counts = {pair["values"]: pair["counts"] for pair in failed["status"].value_counts().to_pylist()}
    kinds = "".join(
        f"<li><strong>{count:,} {escape(status)}</strong>: {MEANINGS.get(status, 'see the reason')}</li>"
        for status, count in sorted(counts.items(), key=lambda item: -item[1])
    )
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(printable(row["path"]))}</code></th><td class="fault">{row["status"]}</td>'
        f"<td>{escape(printable(row['error'] or ''))}</td></tr>"
        for row in failed.slice(0, MOST_FAILURES).select(["path", "status", "error"]).to_pylist()
    )
    n_more = len(failed) - MOST_FAILURES
    more = f'<p class="soft">{n_more:,} more are in {escape(scores_name)}.</p>' if n_more > 0 else ""
    return (
        f'<ul class="kinds">{kinds}</ul>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Pictures that were not scored"><table>'
        '<thead><tr><th scope="col">picture</th><th scope="col">status</th><th scope="col">reason</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{more}"
    )


def models_section(made: Sequence[tuple[Maker, Card | None]]) -> str:
    """The card of each model, and where there are several, how many pictures each decided."""
    if len(made) == 1:
        return card_section(*made[0])
    parts = ""
    for maker, card in made:
        noun = "picture" if maker.n_scored == 1 else "pictures"
        parts += f"<h3>{escape(maker.name)}: {maker.n_scored:,} {noun}</h3>{card_section(maker, card)}"
    return (
        "<p>These scores are of several models, each picture's of one. Two models' scores are not one scale: compare "
        f"pictures that one of them scored.</p>{parts}"
    )


def card_section(maker: Maker, card: Card | None) -> str:
    """What the numbers mean and how accurate they are; without a card, what the rows themselves say."""
    origin = f"<dt>model</dt><dd>{escape(maker.name)}</dd>"
    origin += f"<dt>weights, sha256</dt><dd><code>{escape(maker.sha256)}</code></dd>"
    origin += f"<dt>what it sees</dt><dd>{escape(maker.preprocess)}</dd>"
    if card is None:
        return (
            "<p>The card of this model was not found on the machine that made this page; "
            f"with <code>--model FOLDER</code> it would be here.</p><dl>{origin}</dl>"
        )
    meanings = "".join(
        f'<div><h3 class="task {task}">{task.capitalize()}</h3><p>{escape(head.meaning)}</p>'
        f'<p class="soft small">Learnt from ratings of {head.native_range[0]:g} to {head.native_range[1]:g}: '
        f"{escape(', '.join(head.trained_on))}</p></div>"
        for task, head in card.tasks.items()
    )
    licences = f"<dt>weights, licence</dt><dd>{escape(card.weights_licence)}</dd>"
    licences += f"<dt>data, licence</dt><dd>{escape(card.data_licence)}</dd>"
    limits = "".join(f"<li>{escape(limit)}</li>" for limit in card.limits)
    return (
        f'<p>{escape(card.description)} {escape(card.training)}</p><div class="pair">{meanings}</div>'
        f"{_accuracy(card)}{f'<h3>Limits</h3><ul>{limits}</ul>' if limits else ''}"
        f"<h3>Origin</h3><dl>{origin}{licences}</dl>"
    )


def _tile(path: str, score: float, task: Task, image: str | None, url: str | None) -> str:
    name = escape(printable(os.path.basename(path)))
    picture = '<span class="none">no thumbnail</span>'
    if image:
        picture = f'<img src="data:image/webp;base64,{image}" alt="">'
    link = f' href="{escape(url)}"' if url else ""
    return (
        f'<li><a class="tile" data-path="{escape(path)}"{link}>{picture}'
        f'<span class="line"><span class="name">{name}</span>'
        f'<span class="task {task}">{score:.0f}<span class="unseen"> {task}</span></span></span></a></li>'
    )


def _spread_cells(task: Task, spread: Spread | None) -> str:
    if spread is None:
        return '<td class="number soft">none</td><td></td>'
    return f'<td class="number task {task}">{spread.median:.0f}</td><td>{strip(task, spread)}</td>'


def _fault(n: int) -> str:
    return f'<span class="fault">{n:,}</span>' if n else "0"


def _accuracy(card: Card) -> str:
    if not card.measured:
        return "<h3>Measured accuracy</h3><p>None yet: test it on your own pictures before you trust it.</p>"
    rows = "".join(
        f'<tr><th scope="row">{escape(result.data)}</th><td class="task {result.task}">{result.task}</td>'
        f'<td>{escape(result.metric)}</td><td class="number">{result.value:.3f}</td>'
        f'<td class="number soft">{result.low:.3f} to {result.high:.3f}</td><td>{interval(result)}</td>'
        f'<td class="number">{result.n:,}</td></tr>'
        for result in card.measured
    )
    return (
        '<h3>Measured accuracy</h3><div class="scroll" tabindex="0" role="region" aria-label="Accuracy"><table>'
        '<thead><tr><th scope="col">data</th><th scope="col">task</th><th scope="col">metric</th>'
        '<th scope="col" class="number">value</th><th scope="col" class="number">95 % interval</th>'
        '<th scope="col">-1 to 1</th><th scope="col" class="number">pictures</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
