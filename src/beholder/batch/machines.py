"""One list of pictures over several machines that know nothing of each other."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from beholder.errors import UserError


@dataclass(frozen=True)
class Slice:
    """Which machine this is, of how many."""

    number: int
    """From 1."""
    of: int


ENVIRONMENT = "env"
"""`--shard env`: the launcher says which slice this process has."""

PLACE = "{shard}"
"""What stands for the slice in the name of an output."""

_LAUNCHERS = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"))
"""Number from 0, and of how many: torchrun, then srun, which starts one torchrun per machine where there are both.

Not SLURM_NTASKS: `sbatch --ntasks 4` sets it for its script, too, which runs once."""


def parse_slice(text: str, environment: Mapping[str, str] = os.environ) -> Slice:
    """A slice as `--shard` names it: `2/8` is the second of eight, `env` asks the environment.

    Raises `UserError` for anything else.
    """
    if text.strip() == ENVIRONMENT:
        return _slice_of_environment(environment)
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip(), re.ASCII)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(
            f"--shard {text}: allowed are i/n with i from 1 to n, such as 2/8 for the second of eight, and env"
        )
    return Slice(int(found[1]), int(found[2]))


def out_of_slice(out: Path, which: Slice) -> Path:
    """`out` with `{shard}` in its file name replaced, so that one command line serves all slices.

    Numbers are padded, so that names in sorting order are slices in order, as `beholder merge` wants them.

    >>> str(out_of_slice(Path("scores-{shard}.parquet"), Slice(2, 16)))
    'scores-02-of-16.parquet'
    """
    width = len(str(which.of))
    return out.with_name(out.name.replace(PLACE, f"{which.number:0{width}d}-of-{which.of}"))


def missing_slices(files: Sequence[Path]) -> list[int]:
    """Numbers of slices that no file has, by names that `out_of_slice` gave; none where names do not tell.

    >>> missing_slices([Path("a-1-of-4.csv"), Path("a-3-of-4.csv")]), missing_slices([Path("1.csv")])
    ([2, 4], [])
    """
    found = [re.search(r"(\d+)-of-(\d+)", file.name, re.ASCII) for file in files]
    slices = {(int(match[1]), int(match[2])) for match in found if match}
    sizes = {of for _, of in slices}
    if None in found or len(sizes) != 1:
        return []
    return sorted(set(range(1, sizes.pop() + 1)) - {number for number, _ in slices})


def _slice_of_environment(environment: Mapping[str, str]) -> Slice:
    """Slice of a process that torchrun, srun or a Slurm array started; in an array of launchers, a slice of a slice."""
    array, n_tasks = _place_in_array(environment)
    for number, of in _LAUNCHERS:
        if number in environment and of in environment:
            rank, world = _whole(environment, number), _whole(environment, of)
            break
    else:
        rank, world = 0, 1
        if n_tasks is None:
            raise UserError(
                f"--shard {ENVIRONMENT}: the environment has no RANK and WORLD_SIZE (torchrun), SLURM_PROCID and "
                "SLURM_STEP_NUM_TASKS (srun), or SLURM_ARRAY_TASK_ID (sbatch --array). Give the slice as i/n, such as "
                "2/8"
            )
    n_tasks = n_tasks or 1
    if not (0 <= rank < world and 0 <= array < n_tasks):
        raise UserError(
            f"--shard {ENVIRONMENT}: process {rank} of {world}, array task {array} of {n_tasks}: numbers must run from "
            "0 to below how many there are"
        )
    return Slice(array * world + rank + 1, n_tasks * world)


def _place_in_array(environment: Mapping[str, str]) -> tuple[int, int | None]:
    """Number of this task in its Slurm array, from 0, and of how many; None outside an array."""
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return 0, None
    task, first, last, n = (_whole(environment, f"SLURM_ARRAY_TASK_{name}") for name in ("ID", "MIN", "MAX", "COUNT"))
    step = (last - first) // (n - 1) if n > 1 else 1
    if n < 1 or step < 1 or first + step * (n - 1) != last or (task - first) % step:
        raise UserError(
            f"--shard {ENVIRONMENT}: task {task} of an array of {n} from {first} to {last}: its numbers must be evenly "
            f"spaced, as with --array=1-{max(n, 1)}. To run some slices again, give them as i/n"
        )
    return (task - first) // step, n


def _whole(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if re.fullmatch(r"\d{1,9}", text, re.ASCII) is None:
        raise UserError(f"--shard {ENVIRONMENT}: {name} is {text!r}, expected a whole number")
    return int(text)


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
