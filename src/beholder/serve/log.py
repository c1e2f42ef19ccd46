"""One JSON object per line on stderr: what was asked, how it ended, how long it took. Never a picture or its name."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

LOGGER = logging.getLogger("beholder.serve")


class JsonLines(logging.Formatter):
    """A record as one JSON object; what is in `extra={"fields": ...}` is in it, too."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def start_log() -> None:
    """Send our records and those of uvicorn to stderr. Uvicorn's own line per request is left to ours."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("beholder.serve", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO)
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("uvicorn.access").propagate = False
