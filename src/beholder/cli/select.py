"""`beholder select`: a file of scores in; copies, links or a list of the pictures that are wanted out."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from beholder.batch.files import read_rows
from beholder.batch.picks import schema_in
from beholder.batch.report import printable
from beholder.cli.without_pandas import without_pandas
from beholder.errors import UserError
from beholder.selection.alike import NEAR_DUPLICATE
from beholder.selection.choose import Selection, Wanted, choose
from beholder.selection.listing import check_list, print_paths, write_list
from beholder.selection.place import check_free, common_root, place

_SHOWN_REASONS = 5


def select(
    scores: Annotated[Path, typer.Argument(metavar="SCORES", help="File that `beholder score -o` wrote.")],
    where: Annotated[
        str | None, typer.Option(metavar="EXPR", help="Rows to keep, as in: quality > 60 and 'holiday' in path.")
    ] = None,
    top: Annotated[
        str | None, typer.Option(metavar="N", help="How many of them, as 20% or as a number.", show_default="all")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="EXPR",
            help="What is best, largest first: a column, or as in: quality + aesthetics.",
            show_default="the first score",
        ),
    ] = None,
    balance: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Share --top equally among the values of it, such as folder.")
    ] = None,
    unique: Annotated[bool, typer.Option("--unique", help="Keep only the best of near-duplicates.")] = False,
    agreement: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="How alike near-duplicates are at least, above 0 to 1 for copies.",
            show_default=str(NEAR_DUPLICATE),
        ),
    ] = None,
    copy: Annotated[Path | None, typer.Option(metavar="DIR", help="Copy the pictures into a new folder.")] = None,
    link: Annotated[Path | None, typer.Option(metavar="DIR", help="Put links to them into a new folder.")] = None,
    list_: Annotated[
        Path | None,
        typer.Option(
            "--list",
            metavar="FILE",
            help="Write their paths to a .txt file, or their rows to .parquet, .csv or .jsonl; - for stdout.",
            show_default="-",
        ),
    ] = None,
    null: Annotated[
        bool, typer.Option("--null", help="On stdout, end each path with a zero byte, as xargs -0 reads them.")
    ] = False,
    pictures: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that relative paths in SCORES start at.")
    ] = Path(),
) -> None:
    """Select pictures by their scores: limits, the best, equal shares per folder, one of each near-duplicate.

    The order is: --where, then --unique, then --top with --balance. Nothing that exists is ever replaced. A copy that
    was stopped goes on where it was, by the same command.
    """
    if sum(given is not None for given in (copy, link, list_)) > 1:
        raise UserError("--copy, --link and --list exclude each other. Give one of them")
    to_stdout = copy is None and link is None and (list_ is None or str(list_) == "-")
    if null and not to_stdout:
        raise UserError("--null says nothing here; it goes with paths on stdout")
    wanted = Wanted(where, top, by, balance, _threshold(unique, agreement))
    out, n_before = (link if copy is None else copy), 0
    if out is not None:  # now, and not when near-duplicates have been looked for
        check_free(out)
    elif list_ is not None and not to_stdout:
        check_list(list_)
    with without_pandas():
        rows = read_rows(scores, schema_in(scores))
        chosen = choose(rows, wanted, pictures)
        if out is not None:
            n_before = place(
                chosen.rows,
                out,
                "link" if copy is None else "copy",
                pictures=pictures,
                root=common_root(rows["path"].to_pylist(), pictures),
                asked={"scores": str(scores), **asdict(wanted)},
            )
    if to_stdout:
        sys.stdout.flush()
        print_paths(chosen.rows, sys.stdout.buffer, null=null)
    elif list_ is not None:
        write_list(chosen.rows, list_)
    _print_end(chosen, wanted)
    if n_before:
        print(f"{n_before:,} were there from before", file=sys.stderr)
    if not to_stdout:
        print(f"wrote {out or list_}", file=sys.stderr)


def _threshold(unique: bool, agreement: float | None) -> float | None:
    if agreement is not None and not unique:
        raise UserError("--agreement says how alike near-duplicates are, so it needs --unique")
    if agreement is not None and not 0 < agreement <= 1:
        raise UserError(f"--agreement {agreement:g}: allowed are numbers above 0 to 1; 1 is for copies only")
    return (NEAR_DUPLICATE if agreement is None else agreement) if unique else None


def _print_end(chosen: Selection, wanted: Wanted) -> None:
    """How many were left at each step, on stderr, so that a pipe holds nothing but paths."""
    if chosen.not_compared:
        shown = list(chosen.not_compared.items())[:_SHOWN_REASONS]
        print(f"not compared with others, {len(chosen.not_compared):,}:", file=sys.stderr)
        for path, reason in shown:
            print(f"  {printable(path)}: {printable(reason)}", file=sys.stderr)
        if len(shown) < len(chosen.not_compared):
            print(f"  and {len(chosen.not_compared) - len(shown):,} more", file=sys.stderr)
    steps = [f"{chosen.n_rows:,} rows", f"{chosen.n_scored:,} scored"]
    steps += [f"{chosen.n_matching:,} match"] if wanted.where else []
    steps += [f"{chosen.n_unique:,} without near-duplicates"] if wanted.unique is not None else []
    typer.secho(f"{' | '.join(steps)} | {len(chosen.rows):,} selected, best {chosen.by} first", bold=True, err=True)
