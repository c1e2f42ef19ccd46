"""Tables of an ablation from the held-out numbers of its runs: means, and paired differences from one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from beholder.alignvar.config import Decoding
from beholder.alignvar.train import BICUBIC, CEILING
from beholder.evaluate.crossed import crossed_mean

Measured = dict[str, list[float]]
"""What is measured -> a number per held-out photo."""

GREEDY: Final[Decoding] = "greedy"
MEASURES = ("psnr", "gmsd", "high_frequency")
NAME = "alignvar-ablation"
NULL = "nothing (null)"

_TITLES = {"ce": "CE", "psnr": "PSNR", "gmsd": "GMSD", "high_frequency": "high frequencies"}
_DIGITS = {"ce": 3, "hcc": 3, "psnr": 2, "gmsd": 4, "high_frequency": 3}
_INPUTS = {"bicubic": "clean", "realesrgan-mild": "degraded", "realesrgan-hard": "hard"}


def tables(
    read: Mapping[str, Sequence[Mapping[str, Any] | None]],
    seeds: Sequence[int],
    presets: Sequence[str],
    default: Decoding,
    *,
    reference: str,
) -> dict[str, dict[str, Any]]:
    """Name -> table, caption and numbers: by default decoding, and greedy. `read` has a result per row and seed of
    `seeds`, None where it is not there yet."""
    first = next((result for results in read.values() for result in results if result is not None), None)
    if first is None:
        return {}
    decodings = {NAME: default} | ({f"{NAME}-greedy": GREEDY} if default != GREEDY else {})
    found = {}
    for name, decode in decodings.items():
        keys = [f"{preset}/ce" for preset in presets]
        keys += [f"{preset}/{decode}/{measure}" for preset in presets for measure in MEASURES]
        compared = {row: compare(read[reference], results, keys) for row, results in read.items() if row != reference}
        rows = [_beside(what, first["beside"][what], keys) for what in (BICUBIC, CEILING)]
        for row, results in read.items():
            done = [result["ours"] for result in results if result is not None]
            if done:
                rows.append(_line(row, done, keys, compared.get(row)))
        found[name] = {
            "caption": _caption(decode, len(first["ours"][keys[0]]), compared, first["recipe"], reference),
            "table": {"columns": ["row", "seeds", *map(_title, keys), f"differs from {reference} in"], "rows": rows},
            "compared": compared,
            "measured": {row: [_summary(seed, result) for seed, result in zip(seeds, results, strict=True) if result]
                         for row, results in read.items()},
        }  # fmt: skip
    return found


def compare(
    reference: Sequence[Mapping[str, Any] | None], results: Sequence[Mapping[str, Any] | None], keys: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Per key the mean difference from the reference, same seeds and same photos, half of its 95 % interval, and
    whether that interval holds 0. Only of seeds that both have."""
    pairs = [(a["ours"], b["ours"]) for a, b in zip(reference, results, strict=True) if a is not None and b is not None]
    found = {}
    for key in keys if pairs else ():
        mean, half = crossed_mean(np.array([np.subtract(b[key], a[key]) for a, b in pairs]))
        found[key] = {"difference": mean, "half": half, "null": None if half is None else abs(mean) <= half}
    return found


def _line(row: str, done: Sequence[Measured], keys: Sequence[str], compared: Mapping[str, Any] | None) -> list[str]:
    if compared is None:
        cells = [f"{np.mean([one[key] for one in done]):.{_digits(key)}f}" for key in keys]
        return [row, str(len(done)), *cells, ""]
    if not compared:
        return [row, str(len(done)), *["–"] * len(keys), "–"]
    known = all(one["null"] is not None for one in compared.values())
    differs = ", ".join(_title(key) for key in keys if compared[key]["null"] is False) or NULL
    return [row, str(len(done)), *(_difference(compared[key], key) for key in keys), differs if known else "–"]


def _difference(found: Mapping[str, Any], key: str) -> str:
    digits = _digits(key)
    return f"{found['difference']:+.{digits}f}" + ("" if found["half"] is None else f" ± {found['half']:.{digits}f}")


def _beside(what: str, numbers: Measured, keys: Sequence[str]) -> list[str]:
    """A line of what needs no transformer: it has no cross-entropy and does not depend on decoding."""
    cells = []
    for key in keys:
        values = numbers.get(f"{key.split('/')[0]}/{key.split('/')[-1]}")
        cells.append("–" if values is None else f"{np.mean(values):.{_digits(key)}f}")
    return [{BICUBIC: "bicubic", CEILING: "true codes"}[what], "–", *cells, ""]


def _summary(seed: int, result: Mapping[str, Any]) -> dict[str, Any]:
    means = {key: round(float(np.mean(values)), 6) for key, values in result["ours"].items()}
    return {"seed": seed, "minutes": result["minutes"], "device": result["device"], "torch": result["torch"], **means}


def _caption(
    decode: Decoding, photos: int, compared: Mapping[str, Mapping[str, Any]], recipe: Mapping[str, Any], reference: str
) -> str:
    n = sum(one["null"] is not None for row in compared.values() for one in row.values())
    return (
        f"{recipe['size']}, {recipe['steps']:,} steps of {recipe['batch']} crops; single tiles of {photos} held-out "
        f"photos as decoded, {decode}. Rows below {reference} are differences from it, same seeds and photos, ± half "
        "of the 95 % interval over seeds and photos; the last column names those whose interval leaves out 0. Of these "
        f"{n} comparisons, about {n / 20:.0f} would by chance alone."
    )


def _title(key: str) -> str:
    return f"{_TITLES[key.split('/')[-1]]}, {_INPUTS[key.split('/')[0]]}"


def _digits(key: str) -> int:
    return _DIGITS[key.split("/")[-1]]
