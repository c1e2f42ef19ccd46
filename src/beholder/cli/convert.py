"""`beholder convert`: weights that others published, files that you have, as a model folder of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from beholder.errors import UserError
from beholder.task import Task
from beholder.uniqa.official import TOKENIZER, convert
from beholder.uniqa.prompts import GROUPS

app = typer.Typer()


@app.callback()
def formats() -> None:
    """Weights that others published, as a model folder of ours."""


@app.command("uniqa")
def uniqa(
    backbone: Annotated[Path, typer.Option(metavar="FILE", help="The tuned CLIP, e.g. UniQA_weight.pt.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of the model.")],
    adapter: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An adapter on it; zero-shot without one.")
    ] = None,
    task: Annotated[Task, typer.Option(help="What the adapter was trained to score.")] = "quality",
    prompts: Annotated[
        list[str] | None, typer.Option(metavar="GROUP", help=f"Prompt group, repeatable: {', '.join(GROUPS)}.")
    ] = None,
    tokenizer: Annotated[str, typer.Option(metavar="NAME_OR_FOLDER", help="CLIP's tokenizer.")] = TOKENIZER,
    round_fp16: Annotated[
        bool, typer.Option("--round-fp16", help="Round weights to half precision, as the official loader does.")
    ] = False,
) -> None:
    """Convert the published weights of UniQA."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {str(out)!r} is a file; give a folder, new or old")
    model = convert(
        backbone, out, adapter=adapter, task=task, groups=prompts, tokenizer=tokenizer, round_fp16=round_fp16
    )
    console = Console(highlight=False, markup=False)
    for name, head in model.config.tasks.items():
        how = "zero-shot" if head.hidden is None else "with its adapter"
        console.print(f"{name}: {how}, prompts {', '.join(head.groups)}", soft_wrap=True)
    console.print(f"\nThe model is in {out}. To score with it: beholder export {out} -o FOLDER", soft_wrap=True)


@app.command("alignvar")
def alignvar(
    tokenizer: Annotated[Path, typer.Option(metavar="FILE", help="VAR's tokenizer, e.g. vae_ch160v4096z32.pth.")],
    transformer: Annotated[Path, typer.Option(metavar="FILE", help="VAR's transformer of depth 24, e.g. var_d24.pth.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of the model, new or empty.")],
    half: Annotated[bool, typer.Option("--half", help="Store half precision: half the size.")] = False,
    seed: Annotated[int, typer.Option(help="Of the weights that are new.")] = 0,
) -> None:
    """Make the start of an AlignVAR d24 of VAR's published weights; it is not trained to upscale yet."""
    from beholder.alignvar.var_weights import convert as convert_var

    reports = convert_var(tokenizer, transformer, out, half=half, seed=seed)
    console = Console(highlight=False, markup=False)
    for part, report in zip(("tokenizer", "transformer"), reports, strict=True):
        console.print(f"{part}: {len(report.loaded)} tensors loaded", soft_wrap=True)
        for what, names in (("dropped", report.dropped), ("new", report.new)):
            console.print(f"  {what}: {', '.join(names) or 'none'}", soft_wrap=True)
    console.print(f"\nThe model is in {out}: a start for training, not yet an upscaler.", soft_wrap=True)
