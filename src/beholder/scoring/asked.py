"""What a user asks of a model besides scores."""

from __future__ import annotations

from dataclasses import dataclass

from beholder.errors import UserError


@dataclass(frozen=True)
class Asked:
    """An engine refuses what it does not have."""

    explain: bool = False
    """A reason in words with each score."""
    levels: bool = False
    """Level words weighed, from a model that names a number if not asked otherwise."""
    allow_prompt_mismatch: bool = False
    """Ask a model with other prompts than those it was trained with."""

    def __post_init__(self) -> None:
        if self.explain and self.levels:
            raise UserError("--explain and --levels are two ways of asking; choose one")


SCORES_ONLY = Asked()
