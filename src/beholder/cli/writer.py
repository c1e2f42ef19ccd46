"""Who writes texts, as options of the command line name it: no model, an endpoint, or a model in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from beholder.data.columns import SPLITS, Split
from beholder.data.manifest import Manifest, read_manifest
from beholder.errors import UserError
from beholder.language.ask import Backend, Sampling

BackendName = Literal["template", "endpoint", "local"]
ModelBackend = Literal["endpoint", "local"]

TAKEN_BY: Mapping[str, tuple[BackendName, ...]] = {
    "--model": ("endpoint", "local"),
    "--base-url": ("endpoint",),
    "--temperature": ("endpoint", "local"),
    "--top-p": ("endpoint", "local"),
    "--max-tokens": ("endpoint", "local"),
    "--concurrency": ("endpoint", "template"),
    "--batch": ("local",),
    "--timeout": ("endpoint",),
    "--attempts": ("endpoint",),
}
"""Which back-ends an option means something to."""


def refuse_idle_options(name: BackendName, given: Mapping[str, Any]) -> None:
    """Raise `UserError` for an option that the back-end would ignore."""
    for option in given:
        if name not in TAKEN_BY[option]:
            raise UserError(f"{option} says nothing to --backend {name}; it goes with {' and '.join(TAKEN_BY[option])}")


def sampling_of(given: Mapping[str, Any], usual: Sampling) -> Sampling:
    """How a model draws: what was given, and otherwise as usual."""
    return Sampling(
        temperature=given.get("--temperature", usual.temperature),
        max_tokens=given.get("--max-tokens", usual.max_tokens),
        top_p=given.get("--top-p", usual.top_p),
    )


def open_model(name: ModelBackend, given: Mapping[str, Any], sampling: Sampling) -> Backend:
    """The model that `--model` names, behind its back-end. Raises `UserError` where there is no such option."""
    if "--model" not in given:
        raise UserError(f"--backend {name} needs --model")
    model = str(given["--model"])
    if name == "local":
        with needing("train"):
            from beholder.language.local import LocalModel
        return LocalModel(model, sampling=sampling, batch=given.get("--batch", 1))
    with needing("language"):
        from beholder.language.endpoint import Endpoint, Patience
    usual = Patience()
    patience = Patience(given.get("--timeout", usual.timeout_s), given.get("--attempts", usual.attempts))
    return Endpoint(
        model,
        given.get("--base-url"),
        sampling=sampling,
        patience=patience,
        concurrency=given.get("--concurrency", 8),
    )


def chosen_splits(names: list[str], allow_test: bool) -> tuple[Split, ...]:
    """The parts to write about, in the order of `SPLITS`. Raises `UserError` for parts that need `--allow-test`."""
    for name in names:
        if name not in SPLITS:
            raise UserError(f"--split {name}: allowed are {', '.join(SPLITS)}")
    splits = tuple(split for split in SPLITS if split in names)
    if set(splits) != {"train"} and not allow_test:
        raise UserError(
            f"--split {' '.join(splits)}: only train pictures are described with their score, or a later test measures "
            "memory; --allow-test allows it, and is written to the metadata"
        )
    return splits


def tested_manifests(own: Manifest, paths: list[Path]) -> list[Manifest]:
    """Manifests whose test parts are held out: `own`, where it has one, and those of `paths`."""
    tests = [own] if "test" in own.column("split") else []
    return tests + [read_manifest(path) for path in paths]


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Turn a missing package into what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"this needs {error.name}, which is not installed. Try: pip install 'beholder[{extra}]'"
        ) from None
