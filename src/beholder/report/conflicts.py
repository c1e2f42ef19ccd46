"""One self-contained page about samples whose modalities disagree: what each shows, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from beholder.batch.files import replacing
from beholder.batch.report import printable
from beholder.errors import UserError
from beholder.look import base_css, read
from beholder.report.page import check_page, digest
from beholder.tical.conflicts import Conflicts, Sample, Shown

_BAR, _ROW, _NAMES = 110, 18, 78
"""Longest bar, height of a class and room for its name, in units of the figure."""

_SPOKEN = 3
"""Classes that a figure says in words."""


def write_conflicts(found: Conflicts, out: str | Path, *, table: str, model: str) -> int:
    """Write a page about `found`, and give its size in bytes; `table` and `model` are named on it.

    Without a script the page shows all samples; the script filters and sorts them. A page that is there is replaced as
    a whole. Raises `UserError` for a name that is no page's, and where no sample has two modalities.
    """
    out = Path(out)
    check_page(out)
    if not found.samples:
        raise UserError(f"can't write {out}: no sample of {table} has two modalities, so none can disagree")
    style = base_css() + read(__package__, "conflicts.css")
    script = read(__package__, "conflicts.js")
    modalities = list(found.samples[0].modalities)
    page = Template(read(__package__, "conflicts.html")).substitute(
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src '{digest(style)}'; script-src '{digest(script)}'",
        lede=_lede(found, table, model),
        summary=_summary(found),
        shows="".join(_select(f"shows-{i}", f"{name} shows", found.classes) for i, name in enumerate(modalities)),
        together=_select("together", "Together", sorted({one.together.told for one in found.samples})),
        pair=_select("pair", "Disagree most", sorted({one.pair for one in found.samples})),
        wrong=_WRONG if any(map(_is_wrong, found.samples)) else "",
        samples="".join(_sample(one, found.classes) for one in found.samples),
        data=_data(found),
    )
    data = page.encode("utf-8")
    with replacing(out) as temporary:
        temporary.write_bytes(data)
    return len(data)


_WRONG = '<label class="tick"><input type="checkbox" name="wrong"> Only those told otherwise than labelled</label>'


def _lede(found: Conflicts, table: str, model: str) -> str:
    n, noun = len(found.samples), "sample" if found.n_total == 1 else "samples"
    return (
        f"The {n:,} of {found.n_total:,} {noun} whose modalities agree least. By {escape(printable(model))}, "
        f"from {escape(printable(table))}."
    )


def _summary(found: Conflicts) -> str:
    left_out = found.n_total - found.n_assessed
    alone = f" {left_out:,} have fewer than two modalities, and nothing to disagree with." if left_out else ""
    return f"<p>Mean consistency of all samples: {found.mean_consistency:.2f}.{alone}</p>"


def _select(name: str, words: str, values: Sequence[str]) -> str:
    options = "".join(f'<option value="{escape(value)}">{escape(printable(value))}</option>' for value in values)
    return (
        f"<label>{escape(printable(words))}"
        f'<select name="{name}"><option value="">any</option>{options}</select></label>'
    )


def _sample(one: Sample, classes: Sequence[str]) -> str:
    facts = [f"group {one.group}"] if one.group else []
    facts += [f"label {one.label}"] if one.label else []
    unsure = "" if one.known else ' <span class="soft">(mostly the mean of training)</span>'
    columns = [_column(name, shown, classes) for name, shown in one.modalities.items()]
    columns.append(_column("together", one.together, classes))
    return (
        f'<li class="sample"><h3>{escape(printable(one.id))}</h3>'
        f'<p class="soft small">{escape(printable(", ".join(facts)))}</p>'
        f"<p>Consistency <strong>{one.consistency:.2f}</strong>{unsure}; "
        f"{escape(printable(one.pair))} agree least.</p>"
        f'<div class="sides">{"".join(columns)}</div></li>'
    )


def _column(name: str, shown: Shown | None, classes: Sequence[str]) -> str:
    title = escape(printable(name))
    if shown is None:
        return f'<figure><figcaption><h4>{title}</h4></figcaption><p class="soft">missing</p></figure>'
    typical = "" if shown.typicality is None else f'<span class="soft small">typical {shown.typicality:.2f}</span>'
    figure = _bars(name, shown, classes) if shown.distribution else ""
    return (
        f"<figure><figcaption><h4>{title}: <strong>{escape(printable(shown.told))}</strong></h4>{typical}</figcaption>"
        f"{figure}</figure>"
    )


def _bars(name: str, shown: Shown, classes: Sequence[str]) -> str:
    """A bar per class. Those who can't see it are told the largest."""
    shares = list(zip(classes, shown.distribution, strict=True))
    largest = sorted(shares, key=lambda share: -share[1])[:_SPOKEN]
    words = f"{name}: " + ", ".join(f"{label} {100 * share:.0f} %" for label, share in largest)
    top = largest[0][0]
    rows = "".join(
        f'<text x="{_NAMES - 6}" y="{_ROW * i + 13}" text-anchor="end">{escape(printable(label)[:12])}</text>'
        f'<rect class="{"top" if label == top else "bar"}" x="{_NAMES}" y="{_ROW * i + 3}" '
        f'width="{max(_BAR * share, 0.5):.1f}" height="{_ROW - 6}"><title>{100 * share:.0f} %</title></rect>'
        for i, (label, share) in enumerate(shares)
    )
    return (
        f'<svg class="bars" role="img" aria-label="{escape(printable(words))}" '
        f'viewBox="0 0 {_NAMES + _BAR} {_ROW * len(shares)}">{rows}</svg>'
    )


def _data(found: Conflicts) -> str:
    """What filters ask about, as ASCII JSON that may stand in a script element."""
    rows = [
        {
            "text": f"{one.id} {one.group}".lower(),
            "id": one.id,
            "consistency": round(one.consistency, 4),
            "known": one.known,
            "pair": one.pair,
            "together": one.together.told,
            "shows": [_top(shown, found.classes) for shown in one.modalities.values()],
            "wrong": _is_wrong(one),
        }
        for one in found.samples
    ]
    return json.dumps(rows, separators=(",", ":")).replace("<", "\\u003c")


def _is_wrong(one: Sample) -> bool:
    """Of classes: a number is never told to the last digit."""
    return bool(one.label and one.together.distribution) and one.label != one.together.told


def _top(shown: Shown | None, classes: Sequence[str]) -> str | None:
    if shown is None:
        return None
    return classes[max(range(len(classes)), key=lambda k: shown.distribution[k])]
