"""One list of pictures over several machines that know nothing of each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from beholder.errors import UserError


@dataclass(frozen=True)
class Slice:
    """Which machine this is, of how many."""

    number: int
    """From 1."""
    of: int


def parse_slice(text: str) -> Slice:
    """A slice as `--shard` names it: `2/8` is the second of eight. Raises `UserError` for anything else."""
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip(), re.ASCII)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"--shard {text}: allowed are i/n with i from 1 to n, such as 2/8 for the second of eight")
    return Slice(int(found[1]), int(found[2]))


def slice_of(paths: Sequence[str], which: Slice) -> list[str]:
    """The pictures of one machine: neighbours in the list, so that outputs in order are the whole list in order.

    Slices differ in length by 1 at most; together they are `paths`. Raises `UserError` where there are fewer pictures
    than machines, since an output without rows is more likely a wrong folder than meant.
    """
    if not paths:
        raise UserError("--shard takes a slice of the list that inputs give, so name them, also with --resume")
    if len(paths) < which.of:
        raise UserError(
            f"--shard {which.number}/{which.of}: there are {len(paths):,} pictures only, too few for {which.of} shards"
        )
    return list(paths[len(paths) * (which.number - 1) // which.of : len(paths) * which.number // which.of])
