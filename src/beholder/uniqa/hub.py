"""Models by name or folder: whether the Hugging Face hub can be asked, and what to say where it can't.

Without a network `transformers` asks six times for each file, which takes half a minute. One question first, asked
once, tells whether only the disk can help.
"""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi

# What the hub's client raises for a broken connection is called differently from version to version; its base is here.
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError  # type: ignore[attr-defined]

from beholder.errors import UserError

TIMEOUT_S = 5.0


def why_unreachable(name_or_folder: str | Path) -> str | None:
    """Why the hub can't be asked about a name; None for a folder, and where the hub answers, whatever it says."""
    if Path(name_or_folder).is_dir():
        return None
    try:
        HfApi().model_info(str(name_or_folder), timeout=TIMEOUT_S)
    except (HfHubHTTPError, HFValidationError):  # it answered, or can't be asked such a name: transformers says which
        return None
    except (HTTPError, OSError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None


def not_loaded(what: str, name_or_folder: str | Path, unreachable: str | None, error: Exception) -> UserError:
    """The error for a person after `from_pretrained` failed with `error`; `what` was to be loaded."""
    if unreachable is not None:
        return UserError(
            f"no {what} could be loaded from {str(name_or_folder)!r}: it is not a folder, not among the downloaded "
            f"models, and the Hugging Face hub can't be reached ({unreachable}). Give a folder, or fetch it where "
            f"there is a network: hf download {name_or_folder}"
        )
    return UserError(f"no {what} could be loaded from {str(name_or_folder)!r}: {' '.join(str(error).split())}")
