"""What a user asks of a model besides scores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """An engine refuses what it does not have."""

    explain: bool = False
    """A reason in words with each score."""
    allow_prompt_mismatch: bool = False
    """Ask a model with other prompts than those it was trained with."""


SCORES_ONLY = Asked()
