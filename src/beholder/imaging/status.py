"""The one vocabulary of what can happen to a picture."""

from __future__ import annotations

from typing import Literal, get_args

from beholder.errors import UserError

Status = Literal["ok", "unreadable", "unsupported", "too_large", "too_small", "timeout", "crashed", "unparsed"]
"""`unreadable`: missing, no permission, empty, truncated or damaged. `unsupported`: not a picture format we read.
`too_large`: more pixels than `max_pixels`, refused before decoding, or more bytes than are fetched into memory.
`too_small`: a side under 32 px.
`timeout`: took longer than the time limit. `crashed`: the decoder took its process down with it.
`unparsed`: the picture was looked at, but the model's answer holds no score."""

STATUSES: tuple[Status, ...] = get_args(Status)


class ImageError(UserError):
    """A picture that can't be scored. `status` is its row's status, the message its row's error."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status: Status = status

    def __reduce__(self) -> tuple[type[ImageError], tuple[Status, str]]:
        return ImageError, (self.status, str(self))  # exceptions cross process borders; the default loses `status`
