"""The request that a target of a schedule's own gets: its templates filled in, its secrets opened."""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from app.core.sealing import SecretBox, UnknownKeyException
from app.core.target import BODILESS, Method, Target, bound_to, origin_of, template_problems
from app.core.templates import (
    TemplateException,
    in_form,
    in_header,
    in_json,
    in_xml,
    parse,
    render,
    render_json,
    render_url,
)
from app.delivery.redacting import SHORTEST_SECRET
from app.delivery.reply import Unsendable

_JSON = "application/json"
_JSON_TYPES = frozenset({_JSON, "text/json", "application/x-ndjson"})
_TEXT = "text/plain; charset=utf-8"
_BETWEEN_PAIRS = re.compile(r"[\s;,]+")
_NO_SECRETS = frozenset({"accept", "accept-language", "cache-control", "content-type"})


class Composed(NamedTuple):
    """What goes out, before the headers that are this service's own.

    `secrets` must be shown to nobody, and neither may the values of the headers named in `hidden`.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    secrets: tuple[str, ...]
    hidden: frozenset[str] = frozenset()


class Composer:
    """Fills in targets."""

    def __init__(self, secrets: SecretBox) -> None:
        self._secrets = secrets

    def compose(self, target: Target, values: Mapping[str, Any], body: bytes) -> Composed:
        """The request to a target; `body` is what it is sent where it has none of its own.

        Raises Unsendable where a secret does not open, or a placeholder has no value.
        """
        try:
            opened = self._opened(target)
            _check({"headers": list(opened.values())}, values)
            headers = _filled_in(opened, values)
            _check({"body": target.body}, values, form=is_form(opened, values))
            return Composed(
                target.method.value,
                render_url(target.url, values),
                headers,
                self._body(target, headers, values, body),
                _secrets_of(opened),
                frozenset(name for name, template in opened.items() if _hides(name, template)),
            )
        except TemplateException as wrong:
            raise Unsendable(f"the target cannot be called: {wrong}") from None

    def compose_cancellation(self, target: Target, values: Mapping[str, Any], body: bytes) -> Composed:
        """The POST that tells a target's `cancel_url`: the target's headers go to its own origin alone.

        Raises Unsendable as `compose`.
        """
        assert target.cancel_url is not None
        try:
            opened = self._opened(target) if origin_of(target.cancel_url) == origin_of(target.url) else {}
            _check({"headers": list(opened.values())}, values)
            filled = _filled_in(opened, values)
            headers = {name: value for name, value in filled.items() if name.lower() != "content-type"}
            headers["Content-Type"] = _JSON
            url = render_url(target.cancel_url, values)
            return Composed(Method.POST.value, url, headers, body, _secrets_of(opened))
        except TemplateException as wrong:
            raise Unsendable(f"the cancel_url cannot be called: {wrong}") from None

    def _opened(self, target: Target) -> dict[str, str]:
        """The templates of a target's headers."""
        opened: dict[str, str] = {}
        for name, sealed in target.headers.items():
            try:
                template = self._secrets.open(sealed, bound_to(target.url, name))
            except UnknownKeyException as unknown:
                raise Unsendable(f"the target's header {name} cannot be read: {unknown}") from None
            # Known to the transport by this spelling: it has one for a request without.
            opened["Accept" if name.lower() == "accept" else name] = template
        return opened

    def _body(self, target: Target, headers: dict[str, str], values: Mapping[str, Any], standard: bytes) -> bytes:
        if target.body is None:
            if target.method in BODILESS:
                return b""
            _set_type(headers, _JSON)
            return standard
        if isinstance(target.body, str):
            return render(target.body, values, _encoding_for(_set_type(headers, _TEXT))).encode()
        _set_type(headers, _JSON)
        return orjson.dumps(render_json(target.body, values))


def fields_of(body: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """What placeholders stand for: the members of the standard body, and what the schedule's `context_data` adds.

    A member of the body cannot be forged: `context_data` is looked at by a name of its own, and under what is left.
    """
    return {**context, "context_data": context, **body}


def fields_of_notice(content: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """What placeholders stand for in a notice: its members, and what a delivery has beside them, so far as it applies.

    A target's headers go to its `cancel_url` too, and may ask for anything of a delivery.
    """
    run = {"schedule_id": content["schedule_id"], "execution_id": content["execution_id"]}
    body = {
        **dict.fromkeys(("coalesced_count", "timezone", "last_scheduled_for", "next_execution_at")),
        "triggered_at": content["sent_at"],
        "variables": {**context, **run, "triggered_at": content["sent_at"]},
        "metadata": {"trigger_source": "schedule", "session_id": content["execution_id"]},
        "callback": {"url": None, "token": None},
        **content,
    }
    return fields_of(body, context)


def is_form(headers: Mapping[str, str | None], values: Mapping[str, Any]) -> bool:
    """Whether the body that has these headers is a form: by their templates, of which a null one is not known.

    Raises TemplateException.
    """
    kinds = (text for name, text in headers.items() if name.lower() == "content-type" and text is not None)
    return any(_encoding_for(render(text, values, in_header)) is in_form for text in kinds)


def secrets_in(template: str) -> list[str]:
    """What of an opened header is secret: all that was written out, and the credentials alone in `Bearer …`.

    Of `Basic …` also what it stands for, and of `session=…; token="…"` each value. What placeholders stand for is no
    secret: the API shows it.
    """
    found: list[str] = []
    for stretch in map(str.strip, parse(template)[::2]):
        scheme, _, credentials = stretch.partition(" ")
        found += [stretch, credentials]
        pairs = [pair for pair in _BETWEEN_PAIRS.split(stretch) if len(pair) > SHORTEST_SECRET]
        found += [pair.partition("=")[2].strip('"') for pair in pairs]
        if scheme.lower() == "basic":
            found += _basic(credentials)
    return [part for part in found if len(part) >= SHORTEST_SECRET]


def _basic(credentials: str) -> list[str]:
    """What Basic credentials (RFC 7617) stand for, and the password alone."""
    try:
        decoded = base64.b64decode(credentials, validate=True).decode()
    except ValueError:
        return []
    return [decoded, decoded.partition(":")[2]]


def _secrets_of(opened: Mapping[str, str]) -> tuple[str, ...]:
    """The longest first, so that none is cut by a shorter one within it."""
    secrets = [
        part for name, template in opened.items() if name.lower() not in _NO_SECRETS for part in secrets_in(template)
    ]
    return tuple(sorted(dict.fromkeys(secrets), key=len, reverse=True))


def _hides(name: str, template: str) -> bool:
    """Whether anything of a header may be secret: it may not be where all of it is put in."""
    return name.lower() not in _NO_SECRETS and any(map(str.strip, parse(template)[::2]))


def _check(templates: Mapping[str, Any], values: Mapping[str, Any], *, form: bool = False) -> None:
    for place, problem in template_problems(templates, values, form=form):
        raise TemplateException(f"{place}: {problem}")


def _filled_in(opened: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    return {name: render(template, values, in_header) for name, template in opened.items()}


def _set_type(headers: dict[str, str], default: str) -> str:
    for name, value in headers.items():
        if name.lower() == "content-type":
            return value
    headers["Content-Type"] = default
    return default


def _encoding_for(content_type: str) -> Callable[[str], str]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _JSON_TYPES or kind.endswith("+json"):
        return in_json
    if kind == "application/x-www-form-urlencoded":
        return in_form
    if kind.endswith(("/xml", "+xml")) or kind == "text/html":
        return in_xml
    return str
