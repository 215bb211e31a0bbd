"""What a target of a schedule's own is sent, and what of its answer is shown: no secret, in whatever form."""

import base64
import tracemalloc
from typing import Any

import orjson
import pytest

from app.core.sealing import MASK, SecretBox
from app.core.target import Method, Target, bound_to
from app.delivery.body import build_body
from app.delivery.composing import Composed, Composer, fields_of, secrets_in
from app.delivery.reply import TransportFailure
from app.delivery.sample import sample_assignment

URL = "https://hooks.example/run"
BASIC = base64.b64encode(b"ada:topsecret").decode()


def composed(context: dict[str, Any] | None = None, **fields: Any) -> Composed:
    box = SecretBox(())
    headers = {name: box.seal(value, bound_to(URL, name)) for name, value in fields.pop("headers", {}).items()}
    target = Target(**{"url": URL, "headers": headers, **fields})
    encoded = orjson.dumps(context or {}).decode()
    body = build_body(sample_assignment(context_json=encoded), 0)
    return Composer(box).compose(target, fields_of(orjson.loads(body), context or {}), body)


def test_what_was_written_out_is_secret_and_what_is_put_in_is_not() -> None:
    assert secrets_in("Bearer topsecret") == ["Bearer topsecret", "topsecret"]
    assert secrets_in("{{ execution_id }}") == []
    assert secrets_in("key-{{ n }}-rest-of-it") == ["-rest-of-it"]
    assert secrets_in(f"Basic {BASIC}") == [f"Basic {BASIC}", BASIC, "ada:topsecret", "topsecret"]
    assert secrets_in("Basic no base64") == ["Basic no base64", "no base64"]


def test_a_header_is_hidden_unless_all_of_it_is_put_in() -> None:
    headers = {
        "Authorization": "Bearer {{ n }}",
        "X-Short": "a",
        "X-Run": "{{ execution_id }}",
        "X-Two": "{{ n }} {{ n }}",
        "accept": "text/plain",
        "X-None": "",
    }
    assert composed({"n": 1}, headers=headers).hidden == {"Authorization", "X-Short"}


@pytest.mark.parametrize(
    "said",
    [
        "you sent Bearer top/se&cret\"'",
        'you sent {"Authorization": "Bearer top/se&cret\\"\'"}',
        "you asked for /run?key=top%2Fse%26cret%22%27",
        "<p>you sent top/se&amp;cret&quot;&apos;</p>",
    ],
)
def test_a_secret_is_taken_out_in_every_form_in_which_it_is_said_back(said: str) -> None:
    shown = composed(headers={"Authorization": "Bearer top/se&cret\"'"}).redact(said.encode()).decode()
    assert MASK in shown
    assert "cret" not in shown


def test_a_text_that_was_cut_does_not_end_with_the_beginning_of_a_secret() -> None:
    request = composed(headers={"X-Key": "topsecret"})
    for length in range(1, len("topsecret") + 1):
        said = b"x" * 100 + b"topsecret"[:length]
        assert b"t" not in request.redact(said, cut=True)
        assert request.redact(said[:-length], cut=True) == b"x" * (101 - len("topsecret"))
    assert request.redact(b"top", cut=True) == b""
    assert request.redact(b"xxtop") == b"xxtop"


@pytest.mark.parametrize("place", ["url", "body", "body in JSON", "headers"])
def test_what_placeholders_would_blow_up_is_not_built(place: str) -> None:
    context = {"large": {"of": "x" * 32_000}}
    many = "{{ large }}" * 100
    fields: dict[str, dict[str, Any]] = {
        "url": {"url": f"{URL}/{many}"},
        "body": {"body": many},
        "body in JSON": {"body": ["{{ large }}"] * 100},
        "headers": {"headers": {"X": many}},
    }
    tracemalloc.start()
    try:
        with pytest.raises(TransportFailure, match="stand for more than 1048576 characters"):
            composed(context, **fields[place])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1_000_000
    few = composed(context, body=["{{ large }}"] * 10, method=Method.PUT)
    assert len(few.body) > 320_000
