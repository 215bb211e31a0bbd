"""What each answer of a target means: the table, and answers that nobody would write on purpose."""

from datetime import timedelta
from email.utils import format_datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.delivery.answer import RETRY_AFTER_LIMIT_SECONDS, Meaning, Verdict, read_answer
from app.delivery.reply import Reply
from tests.clocks import START


def _read(status: int, body: bytes = b"", retry_after: str | None = None) -> Verdict:
    return read_answer(Reply(status, body, retry_after), START)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299, 409])
def test_a_2xx_took_it_and_a_409_has_it_already(status: int) -> None:
    assert _read(status) == Verdict(Meaning.TAKEN)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 507, 599, 999])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert _read(status) == Verdict(Meaning.RETRY, f"HTTP {status}")


@pytest.mark.parametrize("status", [100, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 413, 422, 451])
def test_anything_else_is_a_failure_that_is_not_tried_again(status: int) -> None:
    assert _read(status, retry_after="5") == Verdict(Meaning.REFUSED, f"HTTP {status}")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0),
        ("1", 1),
        (" 120 ", 120),
        ("007", 7),
        ("3600", 3600),
        ("3601", RETRY_AFTER_LIMIT_SECONDS),
        ("9" * 5000, RETRY_AFTER_LIMIT_SECONDS),
        ("0" * 50 + "5", 5),
        ("-5", None),
        ("1.5", None),
        ("+5", None),
        ("1e3", None),
        ("٣", None),
        ("²", None),
        ("", None),
        ("  ", None),
        ("soon", None),
        ("NaN", None),
        ("inf", None),
        ("5, 10", None),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 12:00:30 +0100", 0),
        ("Mon, 23 Nov 2026 12:00:30 -0000", 30),
        ("Monday, 23-Nov-26 12:00:30 GMT", 30),
        ("Mon Nov 23 12:00:30 2026", 30),
        ("Mon, 23 Nov 2020 12:00:30 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_LIMIT_SECONDS),
        ("Fri, 31 Dec 9999 23:59:59 -2359", RETRY_AFTER_LIMIT_SECONDS),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("Mon, 32 Nov 2026 12:00:30 GMT", None),
        ("Mon, 23 Nov 2026 99:00:30 GMT", None),
        ("Mon, 23 Nov 99999999999999999999 12:00:30 GMT", None),
        ("Mon, 23 Nov 2026 12:00:30 +999999999999", None),
        ("Mon, ٢٣ Nov 2026 12:00:30 GMT", None),
        ("Mon, " * 2000, None),
        (",", None),
        ("1 2 3 4 5", None),
        (":::::", None),
    ],
)
@pytest.mark.fault("18")
def test_retry_after_is_obeyed_in_both_forms_and_absurd_ones_are_bounded(
    header: str | None, seconds: float | None
) -> None:
    assert _read(503, retry_after=header) == Verdict(Meaning.RETRY, "HTTP 503", wait_seconds=seconds)


@given(st.text(max_size=80) | st.text(alphabet="0123456789 ,:+-.MonDecGMT()\t", max_size=60))
def test_any_retry_after_at_all_is_none_or_within_its_bounds(header: str) -> None:
    wait = _read(429, retry_after=header).wait_seconds
    assert wait is None or 0 <= wait <= RETRY_AFTER_LIMIT_SECONDS


@given(st.integers(-100_000, 100_000))
def test_a_date_is_a_wait_from_now_on(seconds: int) -> None:
    header = format_datetime(START + timedelta(seconds=seconds), usegmt=True)
    assert _read(503, retry_after=header).wait_seconds == min(max(seconds, 0), RETRY_AFTER_LIMIT_SECONDS)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"success": true, "data": {"execution_id": "engine-1"}}', "engine-1"),
        (b'{"data": {"execution_id": 12}}', "12"),
        (b'{"data": {"execution_id": ""}}', None),
        (b'{"data": {"execution_id": true}}', None),
        (b'{"data": {"execution_id": 1.5}}', None),
        (b'{"data": {"execution_id": null}}', None),
        (b'{"data": {"execution_id": {"a": 1}}}', None),
        (b'{"data": [{"execution_id": "x"}]}', None),
        (b'{"execution_id": "x"}', None),
        (b'["execution_id"]', None),
        (b'"execution_id"', None),
        (b"execution_id", None),
        (b'{"data": {"execution_id": "cut', None),
        (b'{"data": {"execution_id": "\\u0000a"}}', "�a"),
        (b'{"data": {"execution_id": "\\ud800"}}', None),
        (b'{"data": {"execution_id": "\xff"}}', None),
        (b'{"data": {"execution_id": "' + b"x" * 5000 + b'"}}', "x" * 255),
        (b'{"data": {"execution_id": ' + b"9" * 5000 + b"}}", None),
        (b'{"data":' * 2000 + b'{"execution_id": 1}' + b"}" * 2000, None),
    ],
)
def test_the_engines_id_is_taken_from_its_place_alone(body: bytes, found: str | None) -> None:
    assert _read(202, body) == Verdict(Meaning.TAKEN, engine_execution_id=found)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "HTTP 500"),
        (b" \n ", "HTTP 500"),
        (b"no such workflow", "HTTP 500: no such workflow"),
        (b"a\x00b", "HTTP 500: a�b"),
        (b"\xff\xfe", "HTTP 500: ��"),
        (b"x" * 65536, "HTTP 500: " + "x" * 500),
        ("😀".encode() * 600, "HTTP 500: " + "😀" * 500),
    ],
)
def test_of_a_failures_body_an_excerpt_is_kept_that_can_be_stored(body: bytes, error: str) -> None:
    assert _read(500, body).error == error


@given(st.integers(100, 999), st.binary(max_size=300), st.none() | st.text(max_size=40))
def test_whatever_the_answer_it_can_be_read_and_stored(status: int, body: bytes, retry_after: str | None) -> None:
    verdict = _read(status, body, retry_after)
    assert (verdict.meaning is Meaning.TAKEN) == (verdict.error is None)
    assert "\x00" not in (verdict.error or "") + (verdict.engine_execution_id or "")
    (verdict.error or "").encode()
    orjson.dumps([verdict.error, verdict.engine_execution_id, verdict.wait_seconds])


SECRETS = ("Bearer topsecret", "topsecret")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"you sent Bearer topsecret", "HTTP 500: you sent ********"),
        (b"x" * 495 + b"topsecret", "HTTP 500: " + "x" * 495 + "*****"),
        (b"x" * 499 + b"%74opsecret" + b"y" * 65_000, "HTTP 500: " + "x" * 499 + "*"),
        # At the end of what is looked at.
        (("😀" * 499).encode() + b"topsecret" * 3, "HTTP 500: " + "😀" * 499 + "*"),
        (("😀" * 499).encode() + b"xxxtopsecret", "HTTP 500: " + "😀" * 499 + "x"),
        (b"topsecret" * 7_000, "HTTP 500: " + "*" * 500),
    ],
)
def test_no_secret_is_in_the_excerpt_that_is_kept(body: bytes, error: str) -> None:
    assert read_answer(Reply(500, body, None), START, SECRETS).error == error


def test_an_excerpt_of_what_was_cut_does_not_end_with_the_beginning_of_a_secret() -> None:
    for length in range(1, 9):
        verdict = read_answer(Reply(500, b"x" * 100 + b"topsecret"[:length], None, cut=True), START, SECRETS)
        assert not set("tops") & set((verdict.error or "").partition(": ")[2])


@pytest.mark.parametrize("before", [0, 240, 250, 254, 255, 1000, 1010, 1020, 5000])
@pytest.mark.parametrize("said", ["topsecret", "Bearer topsecret", "top\\u0073ecret", "t%6Fpsecret"])
def test_no_secret_is_in_the_id_that_is_kept(before: int, said: str) -> None:
    body = orjson.dumps({"data": {"execution_id": "x" * before + said}})
    kept = read_answer(Reply(202, body, None), START, SECRETS).engine_execution_id
    assert kept is not None
    assert set(kept) <= {"x", "*"}
    assert len(kept) == min(before + len("********"), 255)
    raw = b'{"data": {"execution_id": "' + b"x" * before + said.encode() + b'"}}'
    assert read_answer(Reply(409, raw, None), START, SECRETS).engine_execution_id == kept


def test_a_target_that_is_gone_is_told_from_one_that_refuses() -> None:
    verdict = read_answer(Reply(410, b"moved away", None), START)
    assert (verdict.meaning, verdict.error) == (Meaning.GONE, "HTTP 410: moved away")
