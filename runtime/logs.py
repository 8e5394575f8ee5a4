"""Logs as one JSON object a line on stderr. Callers log facts and tokens, never numbers."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import Any

_MSISDN = re.compile(r"(?<!\w)(?<!\d\.)\+?0{0,2}[1-9][0-9]{9,14}(?!\w|\.\d)")
"""A last line of defence: long digit runs are masked even when a library put them in a message.

A full stop ends a sentence; only with digits behind it the number is a decimal one.
"""


class JsonFormatter(logging.Formatter):
    """`{"at", "level", "process", "message", …}`; more fields from `extra={"fields": {…}}`."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, object] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "message": mask(record.getMessage()),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line |= _masked(fields)
        if record.exc_info:
            line["exception"] = mask(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=lambda value: mask(str(value)))


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    return value


def mask(message: str) -> str:
    """Replace what looks like a phone number."""
    return _MSISDN.sub("[number]", message)


def configure_logs(process: str, level: int = logging.INFO) -> None:
    """Send all logs of this process to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("aiokafka", "faust", "mode", "kafka"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
