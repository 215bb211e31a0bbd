"""Placeholders: what is one, what is put in, and that nothing that is put in leaves its place."""

import re
import xml.etree.ElementTree as ET
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.templates import (
    TemplateException,
    all_names_in,
    in_form,
    in_header,
    in_json,
    in_url,
    in_xml,
    names_in,
    percent_encoded_length,
    render,
    render_json,
    render_url,
)

VALUES: dict[str, Any] = {
    "id": "a1",
    "n": 3,
    "none": None,
    "yes": True,
    "of": {"it": {"a-b": "deep"}, "list": [1, "x"]},
}
CLIMBS = re.compile(r"(^|[/\\])\.\.?($|[/\\;])")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{{id}}", "a1"),
        ("{{ id }}", "a1"),
        ("{{\tid  }}", "a1"),
        ("x{{ id }}y{{ n }}z", "xa1y3z"),
        ("{{ of.it.a-b }}", "deep"),
        ("{{ none }}", ""),
        ("{{ yes }}", "true"),
        ("{{ of.list }}", '[1,"x"]'),
        ("{ id } }} {", "{ id } }} {"),
        ("{{ id }}{{ id }}", "a1a1"),
        ('{"n":{{ n }}}', '{"n":3}'),
    ],
)
def test_rendering(template: str, rendered: str) -> None:
    assert render(template, VALUES, str) == rendered


@pytest.mark.parametrize("template", ["{{", "{{ }}", "{{ id", "{{ id | upper }}", "{{ 'x' }}", "{{ a..b }}", "{{.a}}"])
def test_what_opens_and_is_no_placeholder_is_refused(template: str) -> None:
    with pytest.raises(TemplateException, match="begins no placeholder"):
        names_in(template)


@pytest.mark.parametrize("name", ["unknown", "of.it.b", "id.x", "of.list.0"])
def test_a_name_that_stands_for_nothing_is_told(name: str) -> None:
    with pytest.raises(TemplateException, match="there is no {{ " + name):
        render("{{ " + name + " }}", VALUES, str)


def test_a_refusal_does_not_repeat_what_may_be_a_secret() -> None:
    with pytest.raises(TemplateException) as refused:
        names_in("Bearer {{ hunter2")
    assert "hunter2" not in str(refused.value)


def test_a_json_body_keeps_the_kinds_of_what_stands_alone() -> None:
    body = {
        "n": "{{ n }}",
        "all": "{{ of }}",
        "text": "run {{ n }} of {{ id }}",
        "none": "{{ none }}",
        "as": [1, "{{ yes }}"],
    }
    assert render_json(body, VALUES) == {
        "n": 3,
        "all": VALUES["of"],
        "text": "run 3 of a1",
        "none": None,
        "as": [1, True],
    }
    assert all_names_in(body) == ["n", "of", "n", "id", "none", "yes"]


def test_keys_are_no_templates() -> None:
    assert render_json({"{{ id }}": 1}, VALUES) == {"{{ id }}": 1}


@given(TEXTS)
def test_what_is_put_in_is_not_read_again(text: str) -> None:
    values = {"a": text + "{{ b }}", "b": "never"}
    assert render("{{ a }}", values, str) == text + "{{ b }}"
    assert render_json(["{{ a }}!"], values) == [text + "{{ b }}!"]


@given(TEXTS)
def test_in_a_url_it_stays_in_its_place(text: str) -> None:
    values = {"a": text}
    assume(not CLIMBS.search(unquote(text)) and not CLIMBS.search(text))
    parts = urlsplit(render_url("http://host:1/p/{{ a }}/q?x={{ a }}&y=1", values))
    assert (parts.netloc, parts.fragment) == ("host:1", "")
    segments = parts.path.split("/")
    assert segments[:2] == ["", "p"]
    assert segments[3:] == ["q"]
    assert unquote(segments[2]) == text
    assert parse_qsl(parts.query, keep_blank_values=True) == [("x", text), ("y", "1")]


@pytest.mark.parametrize("path", ["{{ up }}", "p/{{ here }}/q", "{{ here }}{{ here }}", ".{{ here }}", "%2e{{ here }}"])
def test_no_value_climbs_out_of_its_segment(path: str) -> None:
    values = {"up": "..", "here": "."}
    with pytest.raises(TemplateException, match="another path"):
        render_url(f"http://host/{path}", values)


@pytest.mark.parametrize(
    "name",
    [
        "../admin", "a/../../admin", "a/..", "/..", "./x", "..\\admin", "a\\..", "..;a/x", "%2e%2e/admin", "..%2fadmin",
        "%2e.%5cx", "a%2F.%2e",
    ],
)  # fmt: skip
def test_no_value_climbs_where_a_server_decodes_it_before_it_resolves_it(name: str) -> None:
    for url in ("http://host/hooks/{{ name }}", "http://host/a/../hooks/{{ name }}/run?x=1"):
        with pytest.raises(TemplateException, match="another path"):
            render_url(url, {"name": name})


def test_dots_that_climb_nowhere_are_put_in() -> None:
    values = {"up": "..", "v": "1.2", "of": "a/.b/..c/d..", "query": "../x"}
    url = "http://host/a/../{{ v }}/...{{ up }}/{{ of }}?q={{ up }}/{{ query }}"
    assert render_url(url, values) == "http://host/a/../1.2/...../a%2F.b%2F..c%2Fd..?q=../..%2Fx"
    assert render_url("http://host/a/..;{{ v }}/%2E%2E/{{ v }}", values) == "http://host/a/..;1.2/%2E%2E/1.2"
    assert render_url("http://host?{{ up }}", values) == "http://host?.."


@given(st.lists(st.sampled_from(["..", ".", "/", "\\", "a", ";", "%2e", "%2F", "%5C", "%252e", "?"]), max_size=8))
def test_where_it_is_put_in_no_decoding_leads_to_another_path(pieces: list[str]) -> None:
    with suppress(TemplateException):
        path = render_url("http://host/hooks/{{ a }}", {"a": "".join(pieces)}).removeprefix("http://host")
        for _ in range(2):
            path = unquote(path)
            assert not {".", ".."} & {segment.partition(";")[0] for segment in re.split(r"[/\\]", path)}


@given(TEXTS)
def test_in_a_header_it_ends_no_line(text: str) -> None:
    value = render("v={{ a }}", {"a": text}, in_header)
    assert value.isascii()
    assert value.isprintable()
    if text.isascii() and text.isprintable():
        assert value == f"v={text}"


def test_every_character_is_percent_encoded_as_the_standard_library_does() -> None:
    printable = "".join(map(chr, range(0x20, 0x7F)))
    for plane in range(17):
        text = "".join(map(chr, range(plane << 16, (plane + 1) << 16))).encode("utf-8", "ignore").decode()
        assert in_url(text) == quote(text, safe="")
        assert in_header(text) == quote(text, safe=printable)


@given(TEXTS)
def test_how_long_it_is_percent_encoded_is_known_before(text: str) -> None:
    assert in_url(text) == in_form(text) == quote(text, safe="")
    assert percent_encoded_length(text) == len(in_url(text))


@given(TEXTS)
def test_in_json_in_a_form_and_in_xml_it_stays_a_value(text: str) -> None:
    assert orjson.loads(render('{"k": "{{ a }}", "l": 1}', {"a": text}, in_json)) == {"k": text, "l": 1}
    assert parse_qsl(render("k={{ a }}&l=1", {"a": text}, in_form), keep_blank_values=True) == [("k", text), ("l", "1")]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r")))
def test_in_xml_it_is_text_and_no_markup(text: str) -> None:
    read = ET.fromstring(render('<a k="{{ a }}">{{ a }}</a>', {"a": text}, in_xml))
    left = re.sub("[\x00-\x1f\ufffe\uffff]", "", text)
    assert (read.text or "", read.get("k"), len(read)) == (left, left, 0)


def test_every_character_that_xml_may_have_is_left_in_it() -> None:
    text = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    read = ET.fromstring(render("<a>{{ a }}</a>", {"a": text}, in_xml)).text
    # A line's end is one line feed to whoever reads XML.
    assert read == re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", text).replace("\r", "\n")
