"""How our web pages look and draw: colours and type, level bars. Files are read here and put into a page."""

from __future__ import annotations

from importlib.resources import files


def read(package: str, name: str) -> str:
    """Text of a file that lies in a package, such as `read("beholder.look", "base.css")`."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def base_css() -> str:
    """Colours for light and dark, type, forms and tables: what all pages share."""
    return read(__name__, "base.css")


def levels_js() -> str:
    """Functions that draw a score and its five level probabilities."""
    return read(__name__, "levels.js")
