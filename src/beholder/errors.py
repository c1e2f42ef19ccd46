"""The one line between a user's mistake and our bug."""

from __future__ import annotations


class UserError(ValueError):
    """Something a person can put right. The message says what was wrong, the value, what is allowed, what to try.

    The command line prints it as one line and exits with 1; every other exception is a bug and keeps its traceback.
    """
