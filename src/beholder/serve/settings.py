"""What a server is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from beholder.errors import UserError

KEY_LENGTH = 16
"""Characters of a key at least."""


@dataclass(frozen=True)
class Settings:
    """Checked when it is made. Raises `UserError` for a value out of range, naming the option."""

    lanes: int
    """Worker processes; each works on one batch at a time."""
    max_batch: int
    """Pictures that a worker gets at once, at most."""
    max_wait_ms: float
    """How long the first picture of a batch waits for others."""
    queue: int
    """Pictures that may wait; with more the answer is 429."""
    max_mb: float
    """Size of a request, in megabytes."""
    max_pictures: int
    """Pictures of one request."""
    max_pixels: int
    """A larger picture is refused before it is decoded."""
    timeout_s: float
    """Time of one picture in a worker."""
    request_s: float
    """How long a request may take to arrive, and then again to be answered."""
    drain_s: float
    """How long requests that are under way may go on after SIGTERM."""
    key: str | None = None
    """What clients must show, as `Authorization: Bearer KEY`; None lets everyone in."""
    url_hosts: frozenset[str] = frozenset()
    """Hosts, as `name` or `name:port`, whose addresses may be scored; none by default."""

    def __post_init__(self) -> None:
        for option in ("lanes", "max_batch", "queue", "max_pictures", "max_pixels"):
            if (value := getattr(self, option)) < 1:
                name = "workers" if option == "lanes" else option
                raise UserError(f"--{name.replace('_', '-')} {value}: allowed are whole numbers from 1")
        for option, number in (
            ("max-mb", self.max_mb),
            ("timeout", self.timeout_s),
            ("request-timeout", self.request_s),
            ("drain", self.drain_s),
        ):
            if not number > 0:
                raise UserError(f"--{option} {number:g}: allowed are numbers above 0")
        if not 0 <= self.max_wait_ms <= 10_000:
            raise UserError(f"--max-wait-ms {self.max_wait_ms:g}: allowed are 0 to 10000")
        if self.max_pictures > self.queue:
            raise UserError(
                f"--max-pictures {self.max_pictures} is more than --queue {self.queue}: such a request would never "
                f"find room. Try --queue {2 * self.max_pictures}"
            )

    @property
    def max_bytes(self) -> int:
        """Size of a request, in bytes."""
        return int(self.max_mb * 1e6)


def read_key(file: Path) -> str:
    """The key in a file: its only line. From a file, because arguments of a command are seen by all users."""
    key = file.read_text(encoding="utf-8").strip()
    if len(key) < KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
        raise UserError(
            f"the key in {file} can't be used: it takes one line of {KEY_LENGTH} printable ASCII characters or more, "
            "without blanks. Try: openssl rand -hex 32"
        )
    return key
