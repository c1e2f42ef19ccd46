"""A small language about rows of scores: `quality > 60 and 'holiday' in path`.

Python's own parser reads it, so precedence and quoting are Python's. Each node of the tree is then looked up in the
tables below and becomes an Arrow expression; what is in no table is refused, and nothing is ever executed.

Left out, and why: regular expressions and functions other than `abs`; what needs more is a line of Python on the table.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import reduce
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from beholder.errors import UserError

Kind = Literal["number", "text", "truth"]

COLUMNS: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys(("quality", "aesthetics", "width", "height"), "number"),
        **dict.fromkeys(("path", "folder", "note", "quality_reason", "aesthetics_reason", "model"), "text"),
    }
)
"""What an expression may name. `folder` is what stands before the last `/` of `path`, or `.`."""

COLUMNS_OF_BOTH: Mapping[str, Kind] = MappingProxyType(
    {**COLUMNS, "fast_quality": "number", "fast_aesthetics": "number", "picked": "text"}
)
"""The same where a cascade of two models made the table."""

MAX_LENGTH = 2000
"""Characters of an expression."""

_Operation = Callable[[Any, Any], Any]


def _divide(dividend: Any, divisor: Any) -> Any:
    """The quotient; no value where the divisor is 0, which Arrow calls an error of the whole table."""
    return dividend / pc.if_else(divisor == 0, pa.scalar(None, pa.float64()), divisor)


_COMPARISONS: dict[type[ast.cmpop], _Operation] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type[ast.operator], _Operation] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
}
_JUNCTIONS: dict[type[ast.boolop], _Operation] = {ast.And: operator.and_, ast.Or: operator.or_}  # Kleene's, in Arrow
_SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.USub: pc.negate, ast.UAdd: lambda value: value}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"abs": pc.abs}

ALLOWED = (
    "numbers, 'text', < <= > >= == !=, and, or, not, in, not in, is None, is not None, + - * /, abs() and parentheses"
)


class _Term(NamedTuple):
    """A part of an expression: what it computes, and of what kind that is."""

    value: Any  # pc.Expression
    kind: Kind


def parse(
    text: str, *, kind: Literal["number", "truth"], option: str, columns: Mapping[str, Kind] = COLUMNS
) -> pc.Expression:
    """The Arrow expression that `text` means, over a table with `columns`; numbers are float64.

    What is compared with a row that has no value there is neither true nor false, and so is `not` of it.
    Raises `UserError`, which starts with `option`, for everything that is not in the language.
    """
    return _Reader(text, option, columns).read(kind)


class _Reader:
    """Walks one expression; here so that each message can quote it."""

    def __init__(self, text: str, option: str, columns: Mapping[str, Kind]) -> None:
        self._text, self._option, self._columns = text, option, columns

    def read(self, kind: Kind) -> pc.Expression:
        if "\0" in self._text:
            raise UserError(f"{self._option} {self._text!r}: a zero byte is not allowed in it")
        if len(self._text) > MAX_LENGTH:
            raise UserError(f"{self._option} has {len(self._text):,} characters; allowed are {MAX_LENGTH:,}")
        try:
            with warnings.catch_warnings():  # of odd escapes in strings, for those who write programs
                warnings.simplefilter("ignore")
                tree = ast.parse(self._text.strip(), mode="eval")
            return self._of_kind(tree.body, kind).value
        except SyntaxError as error:
            hint = ". To compare, use ==" if "=" in self._text.replace("==", "") else ""
            raise self._refused(f"it can't be read, {error.msg}{hint}") from None
        except UnicodeEncodeError:  # an argument that is not UTF-8
            raise self._refused("it can't be read, it is not UTF-8") from None
        except (RecursionError, MemoryError):
            raise self._refused("it is nested too deeply") from None

    def _term(self, node: ast.expr) -> _Term:
        match node:
            case ast.Name(id=name):
                return self._column(name)
            case ast.Constant(value=value):
                return self._constant(value)
            case ast.BoolOp(op=op, values=parts):
                return _Term(
                    reduce(_JUNCTIONS[type(op)], (self._of_kind(part, "truth").value for part in parts)), "truth"
                )
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return _Term(~self._of_kind(part, "truth").value, "truth")
            case ast.UnaryOp(op=op, operand=part) if type(op) in _SIGNS:
                return _Term(_SIGNS[type(op)](self._of_kind(part, "number").value), "number")
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                sides = (self._of_kind(side, "number").value for side in (left, right))
                return _Term(_ARITHMETIC[type(op)](*sides), "number")
            case ast.Compare(left=left, ops=ops, comparators=others):
                steps = zip(ops, pairwise([left, *others]), strict=True)
                return _Term(reduce(operator.and_, (self._compare(op, a, b) for op, (a, b) in steps)), "truth")
            case ast.Call(func=ast.Name(id=name), args=[part], keywords=[]) if name in _FUNCTIONS:
                return _Term(_FUNCTIONS[name](self._of_kind(part, "number").value), "number")
        raise self._refused(f"{self._quote(node)} is not allowed in it")

    def _column(self, name: str) -> _Term:
        kind = self._columns.get(name)
        if kind is None:
            near = get_close_matches(name, self._columns, n=1)
            meant = f"; did you mean {near[0]}?" if near else "."
            raise UserError(
                f"{self._option} {self._text!r}: there is no column {name!r}{meant} Columns are "
                f"{', '.join(self._columns)}; text stands in quotes"
            )
        # Scores are float32 and sides int32: as float64 no product of sides overflows, and 1 / 2 is a half.
        return _Term(pc.field(name).cast(pa.float64()) if kind == "number" else pc.field(name), kind)

    def _constant(self, value: object) -> _Term:
        if isinstance(value, str):
            return _Term(pc.scalar(value), "text")
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return _Term(pc.scalar(float(value)), "number")
            except OverflowError:
                raise self._refused("it has a number above 1.8e308") from None
        raise self._refused(f"{value!r} is not allowed in it")

    def _compare(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> Any:
        match op, right:
            case ((ast.Is() | ast.IsNot()), ast.Constant(value=None)):
                value = self._term(left).value
                return value.is_null() if isinstance(op, ast.Is) else value.is_valid()
            case ((ast.In() | ast.NotIn()), _):
                found = self._contains(left, right)
                return found if isinstance(op, ast.In) else ~found
        if type(op) not in _COMPARISONS:
            raise self._refused("`is` goes with None only, as in: note is None")
        first, second = self._term(left), self._term(right)
        if first.kind != second.kind or first.kind == "truth":
            raise self._refused(
                f"{self._quote(left)} is a {first.kind} and {self._quote(right)} a {second.kind}; "
                "numbers compare with numbers, text with text"
            )
        return _COMPARISONS[type(op)](first.value, second.value)

    def _contains(self, left: ast.expr, right: ast.expr) -> Any:
        """`folder in ('a', 'b')`, or `'holiday' in path`."""
        if isinstance(right, ast.Tuple | ast.List) and right.elts:
            equals = ast.Eq()
            return reduce(operator.or_, (self._compare(equals, left, choice) for choice in right.elts))
        if isinstance(left, ast.Constant) and isinstance(left.value, str) and left.value:
            return pc.match_substring(self._of_kind(right, "text").value, left.value)
        raise self._refused("`in` goes with a list or a text, as in: folder in ('a', 'b'), or: 'holiday' in path")

    def _of_kind(self, node: ast.expr, kind: Kind) -> _Term:
        term = self._term(node)
        if term.kind != kind:
            example = {"truth": "a comparison such as quality > 60", "number": "a number", "text": "text"}[kind]
            raise self._refused(f"{self._quote(node)} is a {term.kind} where {example} is expected")
        return term

    def _quote(self, node: ast.expr) -> str:
        part = ast.unparse(node)
        return repr(part if len(part) <= 60 else part[:57] + "...")

    def _refused(self, reason: str) -> UserError:
        shown = self._text if len(self._text) <= 200 else self._text[:197] + "..."
        columns = ", ".join(self._columns)
        return UserError(f"{self._option} {shown!r}: {reason}. Allowed are {ALLOWED}; columns: {columns}")
