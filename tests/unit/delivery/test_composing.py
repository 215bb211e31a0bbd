"""What a target of a schedule's own is sent, and what of its answer is shown: no secret, in whatever form."""

import base64
import re
import time
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.sealing import MASK, SecretBox
from app.core.target import Method, Target, bound_to
from app.delivery import redacting
from app.delivery.body import build_body
from app.delivery.composing import Composed, Composer, fields_of, secrets_in
from app.delivery.redacting import beginning_of, redacted
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
    assert secrets_in('session=topsecret; n=1, token="a secret=="')[1:] == ['n=1, token="a secret=="', "topsecret"]


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
        # PHP, Go, html.escape, Jinja; encodeURIComponent, small digits; one within the other.
        '{"you sent": "Bearer top\\/se&cret\\"\'"}',
        '{"you sent": "Bearer top/se\\u0026cret\\u0022\\u0027"}',
        "<p>you sent Bearer top/se&amp;cret&quot;&#x27;</p>",
        "<p>you sent Bearer top/se&amp;cret&#34;&#39;</p>",
        "?you=Bearer%20top%2fse%26cret%22'",
        "?you=Bearer+top/se%2526cret%2522%27",
        '"{\\"you sent\\": \\"Bearer top\\\\/se&amp;amp;cret\\\\\\"\'\\"}"',
    ],
)
def test_a_secret_is_taken_out_in_every_form_in_which_it_is_said_back(said: str) -> None:
    request = composed(headers={"Authorization": "Bearer top/se&cret\"'"})
    shown = redacted(said.encode(), request.secrets).decode()
    assert MASK in shown
    assert "cret" not in shown


@given(st.text(st.sampled_from("ab/&\"'%\\;<=u0"), min_size=6, max_size=12), st.data())
def test_a_secret_is_found_however_each_of_its_characters_is_escaped(secret: str, data: st.DataObject) -> None:
    def escaped(character: str) -> str:
        code = ord(character)
        forms = [character, f"\\u{code:04x}", f"%{code:02x}", f"%25{code:02X}", f"&#{code};", f"&amp;#x{code:X};"]
        return data.draw(st.sampled_from(forms[1:] if character in "&%\\" else forms))

    # What is no escape in the secret itself: its escapes are undone as well.
    assume(not re.search(r"[\\%&]", secret) or len(redacting._Read(secret.encode()).plain) == len(secret))
    said = "".join(map(escaped, secret))
    # Where its end is how the escape of that begins, as with `%2`, it is found as it is; the rest of the escape, which
    # says no more of it, is left.
    assume(said == secret or secret not in said)
    assert redacted(f"<{said}>é".encode(), [secret]) == f"<{MASK}>é".encode()


def test_a_secret_with_other_letters_is_found() -> None:
    for said in ("pässword", "p\\u00e4ssword", "p%C3%A4ssword", "p&#228;ssword"):
        assert redacted(said.encode(), ["pässword"]) == MASK.encode()


def test_no_answer_makes_looking_for_secrets_slow() -> None:
    secrets = ["a" * 8191 + "b", *("&amp;" * 50 + str(number) for number in range(100))]
    began = time.perf_counter()
    for unit in (b"a", b"\\", b"%25", b"&amp;", b"&#0", b"\\u0061", b"%"):
        redacted((unit * 65_536)[:65_536], secrets, cut=True)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("unit", ["s", "=", "a=", "a;", '"', "name=%06d;", f"secret%06d{' ' * 40}{{{{ n }}}}"])
def test_no_header_makes_looking_for_its_secrets_slow(unit: str) -> None:
    many = iter(range(1_000_000))
    pieces = ["".join(unit % next(many) if "%" in unit else unit for _ in range(500 // len(unit))) for _ in range(50)]
    began = time.perf_counter()
    request = composed({"n": ""}, headers={f"X-{place}": piece for place, piece in enumerate(pieces)})
    shown = redacted(pieces[0].encode() + b"a" * 60_000, request.secrets, cut=True)
    assert time.perf_counter() - began < 2
    assert b"000001" not in shown


LETTERS = "GHIJKL/ é\u20ac"
"""Neither in an escape nor in what stands around a secret."""
AROUND = st.text(st.sampled_from("wyz"), max_size=40)


def _escape(character: str) -> st.SearchStrategy[str]:
    code, percent = ord(character), "".join(f"%{byte:02x}" for byte in character.encode())
    forms = [
        character,
        f"\\u{code:04X}",
        percent,
        percent.replace("%", "%2525"),
        f"&#0{code};",
        f"&amp;amp;#X{code:x};",
    ]
    return st.sampled_from([*forms, "\\\\/"] if character == "/" else forms)


@st.composite
def _texts(draw: st.DrawFn) -> tuple[list[str], str]:
    """Secrets of which some begin as others do, and a text that says some of them in any escapes."""
    stem = draw(st.text(st.sampled_from(LETTERS), min_size=6, max_size=9))
    ends = draw(st.lists(st.text(st.sampled_from(LETTERS), max_size=4), min_size=1, max_size=4))
    secrets = [stem + end for end in ends]
    said = [draw(AROUND)]
    for secret in draw(st.lists(st.sampled_from(secrets), min_size=1, max_size=4)):
        said += [draw(_escape(character)) for character in secret]
        said.append(draw(AROUND))
    return secrets, "".join(said)


def _shows(text: bytes) -> bool:
    return not set(text) <= set(b"wyz*")


@given(_texts(), st.data())
def test_nothing_of_a_secret_is_shown_wherever_and_however_it_is_said_and_cut(
    drawn: tuple[list[str], str], data: st.DataObject
) -> None:
    secrets, text = drawn
    said = text.encode()
    assert not _shows(redacted(said, secrets))
    for _ in range(3):
        cut = data.draw(st.integers(0, len(said)))
        assert not _shows(redacted(said[:cut], secrets, cut=True))
        for length in (0, cut, len(said)):
            assert not _shows(beginning_of(said, length, secrets))
            assert len(beginning_of(said, length, secrets)) <= length
            assert not _shows(beginning_of(said[:cut], length, secrets, cut=True))


@given(st.text("wyz %&;a", max_size=200).map(str.encode), st.integers(0, 100))
def test_what_holds_no_secret_is_shown_as_far_as_it_is_asked_for(text: bytes, length: int) -> None:
    secrets = ["topsecret", "topsecret-of-another"]
    assert redacted(text, secrets) == text
    shown = beginning_of(text, length, secrets)
    assert text.startswith(shown)
    if not re.search(rb"[%&]", text) or len(text) <= length:
        assert shown == text[:length]
    assert beginning_of(text, length, []) == text[:length]


def test_an_escape_that_is_cut_off_is_the_end_of_a_secret_however_long_it_is() -> None:
    for escape in (
        b"&#x" + b"0" * 60 + b"2f;",
        b"&" + b"amp;" * 30 + b"#47;",
        b"%" + b"25" * 30 + b"2f",
        b"\\" * 60 + b"/",
    ):
        said = b"x" * 100 + b"top" + escape + b"secret"
        for length in range(103, len(said)):
            shown = redacted(said[:length], ["top/secret"], cut=True)
            assert not set(shown) - set(b"x*"), (escape, length, shown)


def test_secrets_that_overlap_are_one_mask() -> None:
    assert redacted(b"<abcabcabcabc>", ["abcabcabc"]) == f"<{MASK}>".encode()
    assert redacted(b"<abcdefghijkl>", ["abcdefgh", "efghijkl"]) == f"<{MASK}>".encode()
    assert redacted(b"<abcdefg%68ijkl>", ["abcdefgh", "efghijkl"]) == f"<{MASK}>".encode()


def test_what_would_be_compared_too_often_is_not_shown() -> None:
    alike = ["k=abab" + "ab" * number for number in range(60)]
    began = time.process_time()
    for unit in (b"k=abab", b"%6b=abab"):
        assert redacted(unit * 8_000, alike) == MASK.encode()
        assert redacted((unit + b" ") * 100, alike) == f"{MASK} ".encode() * 100
    assert redacted(b"k=abac" * 9_000, alike) == b"k=abac" * 9_000
    assert time.process_time() - began < 2


def test_a_cut_text_does_not_end_with_the_beginning_of_a_secret_in_escapes() -> None:
    said = b"x" * 100 + b"top%2Fsecr%65t"
    for length in range(len(said) - 13, len(said)):
        assert b"t" not in redacted(said[:length], ["top/secret"], cut=True)


def test_a_text_that_was_cut_does_not_end_with_the_beginning_of_a_secret() -> None:
    request = composed(headers={"X-Key": "topsecret"})
    for length in range(1, len("topsecret") + 1):
        said = b"x" * 100 + b"topsecret"[:length]
        assert b"t" not in redacted(said, request.secrets, cut=True)
        assert redacted(said[:-length], request.secrets, cut=True) == b"x" * (101 - len("topsecret"))
    assert redacted(b"top", request.secrets, cut=True) == b""
    assert redacted(b"xxtop", request.secrets) == b"xxtop"


@pytest.mark.parametrize(
    ("url", "cancel_url", "along"),
    [
        ("https://hooks.example/run", "https://hooks.example/cancel", True),
        ("https://hooks.example/run", "https://HOOKS.example:443/cancel", True),
        ("http://hooks.example/run", "http://hooks.example:80?cancel", True),
        # In the clear, and to another port.
        ("https://hooks.example/run", "http://hooks.example/cancel", False),
        ("https://hooks.example/run", "http://hooks.example:443/cancel", False),
        ("https://hooks.example:8443/run", "https://hooks.example/cancel", False),
        ("https://hooks.example/run", "https://hooks.example.evil.example/cancel", False),
    ],
)
def test_secrets_go_along_to_a_cancel_url_of_the_same_origin_alone(url: str, cancel_url: str, along: bool) -> None:
    box = SecretBox(())
    target = Target(url, headers={"X-Key": box.seal("topsecret", bound_to(url, "X-Key"))}, cancel_url=cancel_url)
    headers = Composer(box).compose_cancellation(target, {}, b"{}").headers
    assert ("X-Key" in headers) is along


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"url": f"{URL}/{'{{ large }}' * 100}"}, "the URL would have more than 8192 characters, percent-encoded"),
        ({"headers": {"X": "{{ large }}" * 100}}, "headers: .* more than 16384 characters, percent-encoded"),
        ({"headers": {"Content-Type": FORM + "{{ large }}" * 100}}, "headers: .* more than 16384 characters"),
        ({"body": "{{ large }}" * 100}, "body: its placeholders stand for more than 262144 characters$"),
        ({"body": ["{{ large }}"] * 100}, "body: its placeholders stand for more than 262144 characters$"),
        ({"body": "{{ large }}" * 3, "headers": {"content-type": FORM}}, "body: .* 65536 characters, percent-encoded"),
        ({"body": "{{ none }}" * 501}, "body: it has more than 500 placeholders"),
        ({"body": ["{{ none }}"] * 501}, "body: it has more than 500 placeholders"),
        ({"headers": {f"X-{n}": "{{none}}" * 11 for n in range(50)}}, "headers: it has more than 500 placeholders"),
        ({"headers": {f"X-{n}": "x" * 8_192 for n in range(5)}}, "headers: they have more than 32768 characters"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_placeholders_would_blow_up_is_not_built(fields: dict[str, Any], why: str) -> None:
    context = {"large": {"of": "x" * 32_000}, "none": None}
    tracemalloc.start()
    try:
        with pytest.raises(TransportFailure, match=why):
            composed(context, **fields)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1_000_000


def test_what_placeholders_may_stand_for_is_built() -> None:
    context = {"large": {"of": "x" * 32_000}, "euro": "€" * 900, "euros": "€" * 1800, "form": "€" * 7200}
    few = composed(context, body=["{{ large }}"] * 8, method=Method.PUT)
    assert len(few.body) > 256_000
    assert len(composed(context, url=f"{URL}/{{{{ euro }}}}").url) > 8_100
    assert len(composed(context, headers={"X": "{{ euros }}"}).headers["X"]) == 16_200
    assert len(composed(context, headers={"Content-Type": f"{FORM}; a"}, body="{{ form }}").body) == 64_800
    assert composed({"n": None}, body=["{{ n }}"] * 500).body == orjson.dumps([None] * 500)
    assert sum(map(len, composed(headers={f"X-{n}": "x" * 8_192 for n in range(4)}).headers.values())) > 32_768


def test_a_url_is_as_long_as_it_is_sent() -> None:
    with pytest.raises(TransportFailure, match="more than 8192 characters"):
        composed(url=f"{URL}/{'€' * 910}")
