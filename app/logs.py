"""Structured logs: one event a line, UTC, as JSON or as the line of the system this replaces.

Whoever logs names the event first, then fields: `log.info("schedule_create", category="AUDIT", …)`. No secret, header
value or body is ever a field.
"""

import json
import logging
import os
from contextlib import suppress
from typing import TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from app import __version__

_LEADING = ("timestamp", "level", "event", "category")
_STDERR = 2
_TEXT_NAMES = ("community", "user", "action", "result")


def configure_logs(*, level: str, fmt: str, module: str, stream: TextIO | None = None) -> None:
    """Set up logging for a process, to stderr; `module` is its name in each line (`api`, `worker`)."""
    renderer = _render_json if fmt == "json" else _render_text
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _add(module=module, version=__version__),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream or cast("TextIO", _Stderr())),
        cache_logger_on_first_use=True,
    )
    # Libraries that use the standard library's logging say only what is wrong, in the same form.
    logging.basicConfig(level=logging.WARNING, handlers=[_Relay()], force=True)


class _Stderr:
    """A line that cannot be written is lost, and stops nothing: its disk may be full, or its reader gone.

    Nothing is kept for later: at the exit it would be tried once more, and change the status of a process that ends in
    order. A line is one write, so that those of processes with one stderr do not mix.
    """

    def write(self, text: str) -> None:
        """Write a line, or as much of it as there is room for."""
        left = text.encode(errors="backslashreplace")
        with suppress(OSError):
            while left:
                left = left[os.write(_STDERR, left) :]

    def flush(self) -> None:
        """Nothing is held back."""


class _Relay(logging.Handler):
    """Says what a library logs as an event of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """One event `library_log`, with the library's logger and message as fields."""
        structlog.get_logger().log(
            record.levelno,
            "library_log",
            category="SYSTEM" if record.levelno < logging.ERROR else "ERROR",
            logger=record.name,
            message=record.getMessage(),
            exc_info=record.exc_info,
        )


def _add(**fields: str) -> structlog.typing.Processor:
    def processor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**fields, **event}

    return processor


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    ordered = {name: event.pop(name) for name in _LEADING if name in event} | dict(event)
    return _encode(ordered)


def _render_text(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """`[timestamp] LEVEL module:version EVENT_TYPE community=X user=Y action=Z result=STATUS …`"""
    timestamp, level, name = event.pop("timestamp"), event.pop("level").upper(), event.pop("event").upper()
    module, version, trace = event.pop("module"), event.pop("version"), event.pop("exception", None)
    known = [(field, event.pop(field)) for field in _TEXT_NAMES if field in event]
    fields = " ".join(f"{field}={_plain(value)}" for field, value in [*known, *event.items()] if value is not None)
    line = f"[{timestamp}] {level} {module}:{version} {name} {fields}".rstrip()
    # Indented, so that no line of a caller's text in a message begins as an event does.
    return "\n".join([line, *(f"    {_printable(part)}" for part in trace.splitlines())]) if trace else line


def _plain(value: object) -> str:
    # A line break or a quote in a caller's text must not forge a field or a line.
    text = str(value)
    return text if text and text.isprintable() and not set(text) & {" ", '"', "="} else _encode(text)


def _printable(line: str) -> str:
    return line if line.isprintable() else line.encode("unicode_escape").decode()


def _encode(value: object) -> str:
    """One printable line of JSON. Logging never raises for what is logged."""
    try:
        text = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        # A number beyond 64 bits, or half of a surrogate pair.
        text = ""
    # orjson leaves line separators and control characters beyond ASCII as they are.
    return text if text.isprintable() and text else json.dumps(value, default=str, skipkeys=True)
