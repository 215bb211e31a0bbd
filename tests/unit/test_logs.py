"""Log lines: one event a line whatever is logged, in both formats."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app import __version__
from app.logs import configure_logs

HOSTILE = [
    "two\nlines",
    "\r[2026-01-01T00:00:00Z] INFO api:1 AUDIT user=root",
    'quote" result=ok',
    "a=b c=d",
    "",
    " ",
    "\x1b[2K\x1b[1A",
    "\x9b2K",
    "\u2028forged",
    "\u2029forged",
    "\x85forged",
    "\x0b\x0c\x1c\x1d\x1e",
    "\x00",
    "\ud800",
    "\u202eright to left",
    "zone: Цюрих",
]


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


def _logged(fmt: str, level: str = "INFO") -> tuple[structlog.stdlib.BoundLogger, io.StringIO]:
    stream = io.StringIO()
    configure_logs(level=level, fmt=fmt, module="worker", stream=stream)
    return structlog.get_logger(), stream


def _text_fields(line: str) -> dict[str, str]:
    match = re.fullmatch(
        r"\[[^\]]+\] [A-Z]+ [a-z]+:\S+ [A-Z_]+(?P<fields>( \w+=(\"(\\.|[^\"\\])*\"|[^\s\"=]+))*)", line
    )
    assert match is not None, line
    pairs = re.findall(r" (\w+)=(\"(?:\\.|[^\"\\])*\"|[^\s\"=]+)", match["fields"])
    return {name: json.loads(value) if value.startswith('"') else value for name, value in pairs}


def test_a_json_line_leads_with_when_how_bad_and_what() -> None:
    log, stream = _logged("json")
    log.info(
        "schedule_create",
        category="AUDIT",
        community=1,
        user="ada",
        schedule_id=UUID(int=1),
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    (line,) = stream.getvalue().splitlines()
    logged = json.loads(line)
    assert list(logged)[:4] == ["timestamp", "level", "event", "category"]
    assert (logged["level"], logged["event"], logged["module"], logged["version"]) == (
        "info",
        "schedule_create",
        "worker",
        __version__,
    )
    assert (logged["community"], logged["user"], logged["schedule_id"]) == (1, "ada", str(UUID(int=1)))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", logged["timestamp"])


def test_a_text_line_is_the_originals() -> None:
    log, stream = _logged("text")
    log.warning("schedule_create", zone=None, result="ok", community=1, category="AUDIT", user="ada", action="create")
    (line,) = stream.getvalue().splitlines()
    assert re.fullmatch(
        rf"\[[^\]]+Z\] WARNING worker:{re.escape(__version__)} SCHEDULE_CREATE "
        r"community=1 user=ada action=create result=ok category=AUDIT",
        line,
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_cannot_forge_a_line_or_a_field(text: str) -> None:
    log, stream = _logged("text")
    log.info("schedule_create", name=text, result="ok")
    (line,) = stream.getvalue().splitlines()
    assert line.isprintable()
    assert _text_fields(line) == {"name": text, "result": "ok"}

    log, stream = _logged("json")
    log.info("schedule_create", name=text, result="ok")
    (line,) = stream.getvalue().split("\n")[:-1]
    assert set(json.loads(line)) == {"timestamp", "level", "event", "name", "result", "module", "version"}
    if text.isprintable() or text.isascii():
        assert json.loads(line)["name"] == text


@given(st.text(st.characters()), st.sampled_from(["json", "text"]))
def test_no_text_breaks_a_line(text: str, fmt: str) -> None:
    log, stream = _logged(fmt)
    log.error("schedule_failed", error=text, second="2")
    written = stream.getvalue()
    assert written.endswith("\n")
    assert len(written.splitlines()) == 1
    assert written.rstrip("\n").isprintable()
    fields = json.loads(written) if fmt == "json" else _text_fields(written.rstrip("\n"))
    assert fields["second"] == "2"
    assert fields["error"] == text


@pytest.mark.parametrize("fmt", ["json", "text"])
@pytest.mark.parametrize("value", [2**70, {1: "a"}, {"a": {2}}, object(), float("nan"), b"\xff", ("a", 1)])
def test_whatever_the_value_is_logging_it_does_not_raise(fmt: str, value: object) -> None:
    log, stream = _logged(fmt)
    log.info("odd", value=value)
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize("fmt", ["json", "text"])
def test_an_exceptions_message_cannot_forge_a_line(fmt: str) -> None:
    log, stream = _logged(fmt)
    forged = "[2026-01-01T00:00:00Z] INFO api:1 KEY_CREATED user=root"
    try:
        raise ValueError(f"no\n{forged}\r{forged}\u2028{forged}\x1b[2K")
    except ValueError:
        log.exception("advance_failed", entries=3)
    lines = stream.getvalue().splitlines()
    assert not any(line.startswith("[") for line in lines[1:])
    assert all(line.isprintable() for line in lines)
    if fmt == "json":
        assert len(lines) == 1
        assert forged in json.loads(lines[0])["exception"]
    else:
        assert lines[0].endswith("ADVANCE_FAILED entries=3")
        assert any("ValueError: no" in line for line in lines)


def test_what_is_below_the_level_is_not_written() -> None:
    log, stream = _logged("json", level="WARNING")
    log.info("quiet")
    log.warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


@pytest.mark.parametrize("fmt", ["json", "text"])
def test_what_a_library_logs_is_an_event_in_the_same_form(fmt: str) -> None:
    stream = io.StringIO()
    configure_logs(level="INFO", fmt=fmt, module="worker", stream=stream)
    try:
        raise ValueError("broken\nline")
    except ValueError:
        logging.getLogger("some.library").exception("it failed: %s", "badly")
    logging.getLogger("some.library").info("not said")
    first, *trace = stream.getvalue().splitlines()
    if fmt == "json":
        event = json.loads(first)
        assert (event["event"], event["category"], event["logger"]) == ("library_log", "ERROR", "some.library")
        assert event["message"] == "it failed: badly"
        assert "ValueError" in event["exception"]
        assert trace == []
    else:
        assert 'LIBRARY_LOG category=ERROR logger=some.library message="it failed: badly"' in first
        assert all(line.startswith("    ") for line in trace)
