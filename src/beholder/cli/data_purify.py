"""`beholder data purify`: keep the comments of people that say something about their picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from beholder.errors import UserError
from beholder.language.rows import write_rows
from beholder.uniqa.purify import KEEP, report

if TYPE_CHECKING:
    from beholder.uniqa.similarity import TextEncoder


def purify(
    comments: Annotated[
        Path, typer.Argument(metavar="COMMENTS", help=".csv of image_id, comment; or .jsonl.", exists=True)
    ],
    captions: Annotated[
        Path, typer.Argument(metavar="CAPTIONS", help="Texts about aesthetics, of beholder data caption.", exists=True)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="JSON lines, one per picture.")],
    k: Annotated[int, typer.Option("-k", "--keep", min=1, help="Comments kept per picture.")] = KEEP,
    encoder: Annotated[
        str,
        typer.Option(
            metavar="tfidf|lsa|NAME", help="How texts are compared: without a model, or a CLIP by name or folder."
        ),
    ] = "tfidf",
    ir_only: Annotated[
        bool, typer.Option("--ir-only", help="Rank by length alone where a picture has no generated text.")
    ] = False,
) -> None:
    """Keep the comments that are closest to their picture's generated text and longest, and say why others went."""
    if out.suffix != ".jsonl":
        raise UserError(f"{out} ends in {out.suffix!r}; rows are written to a .jsonl file")
    try:
        from beholder.uniqa.comments import purify as purify_files
        from beholder.uniqa.similarity import ClipText, Lsa, Tfidf
    except ModuleNotFoundError as error:
        raise UserError(
            f"this needs {error.name}, which is not installed. Try: pip install 'beholder[language]'"
        ) from None

    def make_encoder(texts: Sequence[str]) -> TextEncoder:
        return Tfidf(texts) if encoder == "tfidf" else Lsa(texts) if encoder == "lsa" else ClipText(encoder)

    rows = purify_files(comments, captions, out, make_encoder, k=k, ir_only=ir_only)
    write_rows(rows, out)
    found = report(rows)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    pictures = ", ".join(f"{status} {count:,}" for status, count in sorted(found.pictures.items()))
    console.print(f"Wrote {out}: {found.n_kept:,} of {found.n_comments:,} comments kept; pictures: {pictures}")
    for reason, count in sorted(found.dropped.items()):
        console.print(f"  dropped, {reason}: {count:,}")
