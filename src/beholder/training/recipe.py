"""A recipe: a YAML file that says everything about a run, read into checked fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from beholder.errors import UserError

T = TypeVar("T")

_SHOWN = 80
"""Characters of a wrong value that are shown."""


def read_recipe(file: Path, kind: type[T] | TypeAdapter[T], example: str) -> T:
    """The recipe in `file` as a `kind`. Raises UserError naming what is wrong, or where recipes are."""
    if not file.is_file():
        raise UserError(f"{file} is not a file; recipes are in {Path(example).parent}/, e.g. {example}")
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    try:
        return adapter.validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        wrong = _most_telling(error.errors())
        where = ".".join(str(key) for key in wrong["loc"]) or "the recipe"
        shown = repr(wrong["input"])
        shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."
        raise UserError(f"{file}: {where}: {wrong['msg']} (it is {shown})") from None


def _most_telling(errors: list[Any]) -> Any:
    """A key that is not there, of which a field that is missing is often the right spelling. Of a field that takes a
    name or sizes, what is wrong with the sizes: that it is no name helps nobody."""
    unknown = next((error for error in errors if error["type"] == "extra_forbidden"), None)
    return unknown or next((error for error in errors if error["type"] != "string_type"), errors[0])
