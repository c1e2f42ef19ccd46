"""`beholder data rationales`: why pictures have the scores they have, for a model that scores with reasons to learn."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from beholder.cli import Stopped
from beholder.cli import writer_options as options
from beholder.cli.ask_progress import show_progress
from beholder.cli.writer import (
    BackendName,
    ModelBackend,
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
from beholder.language.ask import Answer, Backend, Sampling
from beholder.language.redraft import REJECTED
from beholder.language.rows import read_rows
from beholder.language.run import Job, Shape, meta_file, run
from beholder.language.template import Template
from beholder.tatar import judge as judging
from beholder.tatar import notes as noting
from beholder.tatar import rationale
from beholder.tatar.rated import HELD_OUT, rated_pictures
from beholder.tatar.template import write_rationale


def rationales(
    manifest: options.Pictures,
    out: options.Out,
    backend: Annotated[BackendName, typer.Option(help="Who teaches; template needs no model.")] = "template",
    model: options.Model = None,
    base_url: options.BaseUrl = None,
    notes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Notes that narratives are made from. Default: OUT.notes.jsonl."),
    ] = None,
    notes_model: Annotated[
        str | None, typer.Option(help="Vision-language model that writes the notes. Default: the teacher.")
    ] = None,
    notes_base_url: Annotated[str | None, typer.Option(help="Its address. Default: the teacher's.")] = None,
    judge: Annotated[str | None, typer.Option(help="Model that judges what the hard rules pass.")] = None,
    judge_backend: Annotated[ModelBackend, typer.Option(help="Where the judge is.")] = "endpoint",
    judge_base_url: Annotated[str | None, typer.Option(help="Its address. Default: the teacher's.")] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(metavar="|".join(SPLITS), help="Part to explain, repeatable. Default: train.", show_default=False),
    ] = None,
    test_manifest: options.TestManifests = None,
    allow_test: Annotated[
        bool, typer.Option("--allow-test", help="Explain held-out pictures too; is written to the metadata.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="Default: quality 0.3, aesthetics 0.2.", show_default=False)
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(min=0.01, max=1.0, help="Default: quality 0.8, aesthetics 0.9.", show_default=False),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Default: quality 140, aesthetics 500.", show_default=False)
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures at a time. Default: 8 with an endpoint, else 1.", show_default=False),
    ] = None,
    batch: options.Batch = None,
    timeout: options.Timeout = None,
    attempts: options.Attempts = None,
    retry_failed: options.RetryFailed = False,
    overwrite: options.Overwrite = False,
) -> int:
    """Explain the scores of rated pictures: quality in two sentences, aesthetics in one narrative over eight aspects.

    A text must pass hard rules and, where there is one, a judge. The same command again goes on where it stopped. Exit
    code: 0 all rows have a text, 2 some have not; each says why.
    """
    known = {
        "--model": model,
        "--base-url": base_url,
        "--temperature": temperature,
        "--top-p": top_p,
        "--max-tokens": max_tokens,
        "--concurrency": concurrency,
        "--batch": batch,
        "--timeout": timeout,
        "--attempts": attempts,
    }
    given = {name: value for name, value in known.items() if value is not None}
    found = read_manifest(manifest)
    splits = chosen_splits(split or ["train"], allow_test)
    tests = tested_manifests(found, test_manifest or [])
    pictures = rated_pictures(found, splits, None if allow_test else HeldOut(tests))
    if not pictures:
        found.select(splits[0])  # says which parts there are
    needs_notes = backend != "template" and found.task == "aesthetics" and not all(p.notes for p in pictures)
    _refuse_idle_notes(
        needs_notes, {"--notes": notes, "--notes-model": notes_model, "--notes-base-url": notes_base_url}
    )
    if judge is None and (judge_base_url is not None or judge_backend != "endpoint"):
        raise UserError("--judge-backend and --judge-base-url say where the judge is; they need --judge MODEL")
    from_set = {
        "manifest": found.name,
        "manifest_sha256": found.sha256,
        "splits": list(splits),
        "allow_test": allow_test,
        "test_manifests": {test.name: test.sha256 for test in tests},
        "seed": seed,
    }
    how = {"retry_failed": retry_failed, "overwrite": overwrite}
    judging_model = _judge(judge, judge_backend, judge_base_url, given) if judge else None
    teacher, settings = _teacher(backend, given, rationale.SAMPLING[found.task], judge_backend if judge else None)
    settings |= {"judge": judging_model.name if judging_model else None} | from_set

    written: dict[str, Answer] = {}
    if needs_notes:
        notes = notes or out.with_suffix(".notes.jsonl")
        writer = _noter(backend, teacher, notes_model, notes_base_url, given)
        facts = {"writer": writer.name, "prompt_version": noting.PROMPT_VERSION} | asdict(noting.SAMPLING) | from_set
        jobs = noting.notes_jobs(pictures, notes, writer=writer.name, seed=seed)
        counts = _run(jobs, noting.Noting(writer), notes, noting.SHAPE, facts, how)
        _tell(notes, counts, "notes", writer.name)
        written = noting.written_notes(notes)
        settings["notes_writer"] = writer.name
    jobs = rationale.rationale_jobs(
        pictures, out, teacher=teacher.name, judge=settings["judge"], notes=written, seed=seed
    )
    counts = _run(jobs, judging.Filtered(teacher, judging_model), out, rationale.SHAPE, settings, how)
    _tell(out, counts, "a rationale", teacher.name + (f", judged by {judging_model.name}" if judging_model else ""))
    if counts.total() - counts["ok"] > counts[HELD_OUT]:
        _console().print("Each row says why; --retry-failed asks the failed ones again.")
    _console().print(f"How they were made: {meta_file(out)}")
    return 2 if counts.total() > counts["ok"] else 0


def _refuse_idle_notes(needs_notes: bool, options: Mapping[str, Any]) -> None:
    for option, value in options.items():
        if value is not None and not needs_notes:
            raise UserError(
                f"{option} says nothing here: notes are written by a model, for a set of aesthetics that has none"
            )


def _teacher(
    name: BackendName, given: Mapping[str, Any], usual: Sampling, judge: ModelBackend | None
) -> tuple[Backend, dict[str, Any]]:
    """The teacher and the settings that its texts depend on; `judge` takes options too that the teacher may not."""
    refuse_idle_options(name, {k: v for k, v in given.items() if judge is None or k not in _JUDGE_TAKES[judge]})
    if name == "template":
        teacher: Backend = Template(write_rationale, given.get("--concurrency", 8 if judge == "endpoint" else 1))
        return teacher, {"teacher": name, "prompt_version": rationale.PROMPT_VERSION}
    sampling = sampling_of(given, usual)
    teacher = open_model(name, given, sampling)
    settings = {"teacher": teacher.name, "prompt_version": rationale.PROMPT_VERSION} | asdict(sampling)
    return teacher, settings | ({"batch": teacher.batch} if name == "local" else {})


_JUDGE_TAKES: Mapping[ModelBackend, tuple[str, ...]] = {
    "endpoint": ("--timeout", "--attempts", "--concurrency"),
    "local": ("--batch",),
}


def _judge(model: str, backend: ModelBackend, base_url: str | None, given: Mapping[str, Any]) -> Backend:
    """The judge's model; of the teacher's options it takes those of `_JUDGE_TAKES`, and the address if it has none."""
    taken = {name: value for name, value in given.items() if name in (*_JUDGE_TAKES[backend], "--base-url")}
    own = {"--model": model} | ({"--base-url": base_url} if base_url else {})
    return open_model(backend, taken | own, judging.SAMPLING)


def _noter(
    backend: BackendName, teacher: Backend, model: str | None, base_url: str | None, given: Mapping[str, Any]
) -> Backend:
    """Who writes notes: a model of its own, or the teacher's, which is not loaded a second time."""
    if backend == "local" and model is None:
        from beholder.language.local import LocalModel

        if isinstance(teacher, LocalModel):
            return teacher.drawing(noting.SAMPLING)
    own = {"--model": model, "--base-url": base_url}
    taken = {**given, **{name: value for name, value in own.items() if value is not None}}
    return open_model("local" if backend == "local" else "endpoint", taken, noting.SAMPLING)


def _run(
    jobs: Sequence[Job], backend: Backend, out: Path, shape: Shape, settings: Mapping[str, Any], how: Mapping[str, bool]
) -> Counter[str]:
    try:
        with show_progress(sys.stderr) as on_progress:
            return run(jobs, backend, out, shape, settings=settings, on_progress=on_progress, **how)
    except KeyboardInterrupt:
        raise Stopped(f"stopped. {out} keeps all finished rows: the same command goes on from there.") from None


def _tell(out: Path, counts: Mapping[str, int], what: str, whose: str) -> None:
    """How many rows of each status, and which rule or judge's mark rejected how many."""
    total = sum(counts.values())
    console = _console()
    console.print(f"Wrote {out}: {counts['ok']:,} of {total:,} pictures have {what}, from {whose}")
    for status, count in sorted(counts.items(), key=lambda item: -item[1]):
        if status == REJECTED:
            by_rule = judging.rejections(read_rows(out)).most_common()
            console.print(f"  {status} {count:,}: {', '.join(f'{rule} {n:,}' for rule, n in by_rule)}")
        elif status != "ok":
            console.print(f"  {status} {count:,}")


def _console() -> Console:
    return Console(highlight=False, markup=False, soft_wrap=True, stderr=True)
