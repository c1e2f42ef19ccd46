"""Train, validation and test parts that depend on names only: never on row order, a seed's library or the machine."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from beholder.data.columns import SPLITS, Split
from beholder.errors import UserError

Shares = tuple[float, float, float]
"""Share of the rows in train, val and test; they sum to 1."""

SHARES: Shares = (0.7, 0.15, 0.15)


def split_groups(
    groups: Sequence[str], *, salt: str, shares: Shares = SHARES, strata: Sequence[str] | None = None
) -> list[Split]:
    """Split of each row, all rows of a group in the same one.

    Groups are ordered by sha256 of `salt` and their name, then cut where the shares of rows fall; each group goes
    where its middle row does, so a share is met to within half a group. With `strata` (one label per row, a group
    counts for its most frequent one) each stratum is cut for itself, so its shares hold inside it too.

    >>> split_groups(["a", "b", "a", "c"], salt="demo", shares=(0.5, 0.0, 0.5))
    ['train', 'test', 'train', 'test']
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise UserError(f"shares = {shares}; three numbers from 0 that sum to 1 are allowed, e.g. {SHARES}")
    sizes = Counter(groups)
    found: dict[str, Split] = {}
    for members in _by_stratum(groups, strata).values():
        total = sum(sizes[group] for group in members)
        before = 0
        for group in sorted(members, key=lambda name: _rank(salt, name)):
            middle = (before + sizes[group] / 2) / total
            found[group] = SPLITS[0 if middle < shares[0] else 1 if middle < shares[0] + shares[1] else 2]
            before += sizes[group]
    return [found[group] for group in groups]


def _rank(salt: str, name: str) -> str:
    return hashlib.sha256(f"{salt}\0{name}".encode()).hexdigest()


def _by_stratum(groups: Sequence[str], strata: Sequence[str] | None) -> dict[str, list[str]]:
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for group, stratum in zip(groups, strata if strata is not None else [""] * len(groups), strict=True):
        votes[group][stratum] += 1
    members: defaultdict[str, list[str]] = defaultdict(list)
    for group, counts in votes.items():
        members[min(counts, key=lambda stratum: (-counts[stratum], stratum))].append(group)
    return members
