"""`beholder data caption` and `convert-captions`: texts about rated pictures, and their official layout."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from beholder.cli import Stopped
from beholder.cli import writer_options as options
from beholder.cli.ask_progress import show_progress
from beholder.cli.writer import (
    BackendName,
    chosen_splits,
    open_model,
    refuse_idle_options,
    sampling_of,
    tested_manifests,
)
from beholder.data.columns import SPLITS
from beholder.data.held_out import HeldOut
from beholder.data.manifest import read_manifest
from beholder.errors import UserError
from beholder.language.ask import Backend, Sampling
from beholder.language.run import meta_file, run
from beholder.language.template import Template
from beholder.task import Task
from beholder.uniqa.caption import HELD_OUT, PROMPT_VERSION, SHAPE, caption_jobs, write_caption
from beholder.uniqa.official_captions import export_official, import_official


def caption(
    manifest: options.Pictures,
    out: options.Out,
    backend: Annotated[BackendName, typer.Option(help="Who writes; template needs no model.")] = "template",
    model: options.Model = None,
    base_url: options.BaseUrl = None,
    task: Annotated[
        Task | None, typer.Option(help="What to write about. Default: the manifest's; with another, no level is told.")
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            metavar="|".join(SPLITS), help="Part to describe, repeatable. Default: train.", show_default=False
        ),
    ] = None,
    test_manifest: options.TestManifests = None,
    allow_test: Annotated[
        bool, typer.Option("--allow-test", help="Describe held-out pictures too; is written to the metadata.")
    ] = False,
    captions: Annotated[int, typer.Option(min=1, help="Texts per picture.")] = 1,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    temperature: Annotated[float | None, typer.Option(min=0.0, help="Default: 0.2.", show_default=False)] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Default: 120.", show_default=False)] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, help="Questions at a time. Default: endpoint 8, template 1.", show_default=False),
    ] = None,
    batch: options.Batch = None,
    timeout: options.Timeout = None,
    attempts: options.Attempts = None,
    retry_failed: options.RetryFailed = False,
    overwrite: options.Overwrite = False,
) -> int:
    """Write texts about rated pictures, which agree with their scores. The same command again goes on where it stopped.

    Exit code: 0 all rows have texts, 2 some have not; each says why.
    """
    given = {
        "--model": model,
        "--base-url": base_url,
        "--temperature": temperature,
        "--max-tokens": max_tokens,
        "--concurrency": concurrency,
        "--batch": batch,
        "--timeout": timeout,
        "--attempts": attempts,
    }
    found = read_manifest(manifest)
    splits = chosen_splits(split or ["train"], allow_test)
    tests = tested_manifests(found, test_manifest or [])
    writer, settings = _backend(backend, {name: value for name, value in given.items() if value is not None}, seed)
    settings |= {
        "manifest": found.name,
        "manifest_sha256": found.sha256,
        "task": task or found.task,
        "splits": list(splits),
        "captions": captions,
        "allow_test": allow_test,
        "test_manifests": {test.name: test.sha256 for test in tests},
    }
    jobs = caption_jobs(
        found,
        out,
        task=task,
        splits=splits,
        captioner=writer.name,
        held_out=None if allow_test else HeldOut(tests),
        n_captions=captions,
        seed=seed,
    )
    if not jobs:
        found.select(splits[0])  # says which parts there are
    console = Console(highlight=False, markup=False, soft_wrap=True, stderr=True)
    try:
        with show_progress(sys.stderr) as on_progress:
            counts = run(
                jobs, writer, out, SHAPE,
                settings=settings, retry_failed=retry_failed, overwrite=overwrite, on_progress=on_progress,
            )  # fmt: skip
    except KeyboardInterrupt:
        raise Stopped(f"stopped. {out} keeps all finished rows: the same command goes on from there.") from None
    n_failed = counts.total() - counts["ok"]
    console.print(f"Wrote {out}: {counts['ok']:,} of {counts.total():,} pictures have texts, from {writer.name}")
    for status, count in counts.most_common():
        if status != "ok":
            console.print(f"  {status} {count:,}")
    if n_failed > counts[HELD_OUT]:
        console.print("Each row says why; --retry-failed asks the failed ones again.")
    console.print(f"How they were made: {meta_file(out)}")
    return 2 if n_failed else 0


def convert_captions(
    captions: Annotated[Path, typer.Argument(metavar="FILE", help="Ours (.jsonl) or official (.json).", exists=True)],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The other of the two.")],
    task: Annotated[Task | None, typer.Option(help="What an official file's texts are about; it doesn't say.")] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder that image_path is relative to. Default: that of the official file.")
    ] = None,
) -> None:
    """Turn captions into the official UniQA layout (a JSON list of image_path and prompt), or back."""
    kinds = (captions.suffix, out.suffix)
    if kinds == (".jsonl", ".json"):
        if task is not None:
            raise UserError("--task goes with an official .json file; our rows say what they are about")
        count = export_official(captions, out, root)
    elif kinds == (".json", ".jsonl"):
        if task is None:
            raise UserError(f"{captions} doesn't say what its texts are about. Try --task quality or --task aesthetics")
        count = import_official(captions, out, task, root)
    else:
        raise UserError(
            f"from {captions.name} to {out.name}: one must end in .jsonl (ours), the other in .json (official)"
        )
    Console(highlight=False, markup=False, soft_wrap=True).print(f"Wrote {out}: {count:,} pictures")


def _backend(name: BackendName, given: Mapping[str, Any], seed: int) -> tuple[Backend, dict[str, Any]]:
    """The back-end and the settings that its texts depend on."""
    refuse_idle_options(name, given)
    settings: dict[str, Any] = {"captioner": name, "prompt_version": PROMPT_VERSION, "seed": seed}
    if name == "template":
        return Template(write_caption, given.get("--concurrency", 1)), settings
    sampling = sampling_of(given, Sampling())
    backend = open_model(name, given, sampling)
    settings |= {"captioner": backend.name, "temperature": sampling.temperature, "max_tokens": sampling.max_tokens}
    if name == "local":
        settings["batch"] = backend.batch
    return backend, settings
