"""From what a caller wrote of a target to one that can be stored: checked, and its secrets sealed."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from app.api.wire.base import Refused
from app.api.wire.targets import TargetInput
from app.core import notices
from app.core.clock import give_way, in_turns
from app.core.errors import FieldProblem
from app.core.schedule import Completion, Definition
from app.core.sealing import MASK, Sealed, SecretBox, UnknownKeyException
from app.core.target import Method, Target, bound_to, header_problem, template_problems, url_problem
from app.delivery.composing import fields_of, fields_of_notice, is_form
from app.delivery.guard import STORING_SECONDS, Guard
from app.delivery.sample import sample_body
from app.settings import Settings

FIELDS = ("target", "failure_target")
"""The members of a schedule's definition that are targets."""
_URLS = ("url", "cancel_url")
_AT_ONCE = 64
"""Hosts that one request looks up at once: a batch may name four thousand, and each costs a thread."""


class TargetReader:
    """Reads targets; the guard says where they may be, the settings with which key their headers are sealed."""

    def __init__(self, settings: Settings, guard: Guard) -> None:
        self._secrets = SecretBox.from_setting(settings.secret_key)
        self._guard = guard
        self._reports = bool(settings.public_url)

    def known(self, completion: Completion, context: Mapping[str, Any]) -> dict[str, Any]:
        """What placeholders may ask for."""
        reports = self._reports and completion is Completion.CALLBACK
        return fields_of(sample_body(context, reports=reports), context)

    def read(
        self,
        wire: TargetInput,
        field: str,
        completion: Completion,
        context: Mapping[str, Any],
        stored: Target | None,
        refused: Refused,
    ) -> Target | None:
        """A target; null, with every reason in `refused`, where it is refused.

        `stored` is what it replaces: a masked header keeps its value, and one that is given again unchanged is no
        change.
        """
        before = len(refused.values)
        told = fields_of_notice(notices.sample(), context)
        known = told if field == "failure_target" else self.known(completion, context)
        for name, url in ((name, getattr(wire, name)) for name in _URLS):
            if url is None:
                continue
            if (problem := url_problem(url)) is not None:
                refused.value(f"{field}.{name}", f"{field}.{name} {problem}")
            elif (forbidden := self._guard.refusal(_host(url))) is not None:
                refused.value(f"{field}.{name}", f"{field}.{name}: {forbidden}")
        if field == "failure_target" and wire.cancel_url is not None:
            refused.value(f"{field}.cancel_url", f"{field}.cancel_url: what is sent here is never cancelled")
        method = wire.method or Method.POST
        if method is Method.GET and wire.body is not None:
            refused.value(f"{field}.body", f"{field}.body: a GET has none; use POST, or put it into the URL's query")
        for name, problem in (
            *template_problems({"url": wire.url, "body": wire.body}, known),
            *template_problems({"cancel_url": wire.cancel_url}, told),
        ):
            refused.value(f"{field}.{name}", f"{field}.{name}: {problem}")
        if len(refused.values) > before:
            return None
        headers, opened = self._headers(wire, field, known, stored, refused)
        if len(refused.values) > before:
            return None
        for _, problem in template_problems({"body": wire.body}, known, form=is_form(opened, known)):
            refused.value(f"{field}.body", f"{field}.body: {problem}")
        if len(refused.values) > before:
            return None
        return Target(wire.url, method, headers, wire.body, wire.cancel_url)

    def problems_of_notices(self, definition: Definition, context: Mapping[str, Any]) -> list[str]:
        """What cannot be put into a stored definition's `failure_target` and its target's `cancel_url`."""
        told, target = fields_of_notice(notices.sample(), context), definition.target
        failing = definition.failure_target
        asked = [] if failing is None else self.problems_of(failing, told)
        if target is not None:
            asked += [problem for _, problem in template_problems({"cancel_url": target.cancel_url}, told)]
        return asked

    def problems_of(self, target: Target, known: Mapping[str, Any]) -> list[str]:
        """What cannot be put into a stored target, each in a sentence."""
        opened = {name: self._opened(sealed, bound_to(target.url, name)) for name, sealed in target.headers.items()}
        texts = {"url": target.url, "headers": list(opened.values())}
        problems = [problem for _, problem in template_problems(texts, known)]
        if not problems:
            texts = {"body": target.body}
            problems = [problem for _, problem in template_problems(texts, known, form=is_form(opened, known))]
        return problems

    async def address_problems(self, bodies: Sequence[Any]) -> list[list[FieldProblem]]:
        """For each schedule that a caller wrote, which of its targets are at addresses where none may be.

        Names are looked up, many at once and for two seconds in all. One that cannot be is no problem here: whatever
        it resolves to is judged at every delivery.
        """
        hosts = [{field: _host(url) for field, url in _urls(body).items()} async for body in in_turns(bodies)]
        refusals = await self._refusals(sorted({host for found in hosts for host in found.values()}))
        return [
            [FieldProblem(field, f"{field}: {why}") for field, host in found.items() if (why := refusals.get(host))]
            for found in hosts
        ]

    async def _refusals(self, hosts: Sequence[str]) -> dict[str, str]:
        """Why hosts are refused, as far as that is known within two seconds."""
        refused: dict[str, str] = {}
        left = iter(hosts)

        async def look_up() -> None:
            for host in left:
                if (why := await self._guard.check_storable(host)) is not None:
                    refused[host] = why
                # An address, and a name that is refused as it stands, are not waited for.
                await give_way()

        with suppress(TimeoutError):
            async with asyncio.timeout(STORING_SECONDS):
                await asyncio.gather(*(look_up() for _ in range(min(_AT_ONCE, len(hosts)))))
        return refused

    def _headers(
        self, wire: TargetInput, field: str, known: Mapping[str, Any], stored: Target | None, refused: Refused
    ) -> tuple[dict[str, Sealed], dict[str, str | None]]:
        """What is to be stored, and the templates; a null one cannot be read."""
        headers: dict[str, Sealed] = {}
        templates: dict[str, str | None] = {}
        before = len(refused.values)
        seen: set[str] = set()
        for name, value in (wire.headers or {}).items():
            place = f"{field}.headers.{name}"
            problem = "it is given twice: names do not differ by their case" if name.lower() in seen else None
            seen.add(name.lower())
            problem = problem or header_problem(name, value)
            bound = bound_to(wire.url, name)
            kept = None if stored is None else _kept(stored, name, bound)
            masked = value == MASK
            if masked and kept is None:
                problem = problem or _unmasked(name, stored)
            if problem is not None:
                refused.value(place, f"{place}: {problem}")
                continue
            opened = None if kept is None else self._opened(kept, bound)
            keeps = kept is not None and (masked or opened == value)
            headers[name] = kept if keeps and kept is not None else self._secrets.seal(value, bound)
            templates[name] = opened if masked else value
            for _, problem in template_problems({"headers": [templates[name]]}, known):
                refused.value(place, f"{place}: {problem}")
        if len(refused.values) == before:
            for _, problem in template_problems({"headers": list(templates.values())}, known):
                refused.value(f"{field}.headers", f"{field}.headers: {problem}")
        return headers, templates

    def _opened(self, sealed: Sealed, bound: str) -> str | None:
        try:
            return self._secrets.open(sealed, bound)
        except UnknownKeyException:
            return None


def _urls(body: Any) -> dict[str, str]:
    """The well-formed URLs of a schedule that a caller wrote, by their fields."""
    targets = {field: body.get(field) for field in FIELDS} if isinstance(body, dict) else {}
    return {
        f"{field}.{name}": url
        for field, target in targets.items()
        if isinstance(target, dict)
        for name in _URLS
        if isinstance(url := target.get(name), str) and url_problem(url) is None
    }


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _kept(stored: Target, name: str, bound: str) -> Sealed | None:
    """What is stored of a header, whatever its case; null where that belongs to another host."""
    for other, sealed in stored.headers.items():
        if other.lower() == name.lower() and bound_to(stored.url, other) == bound:
            return sealed
    return None


def _unmasked(name: str, stored: Target | None) -> str:
    if stored is not None and any(other.lower() == name.lower() for other in stored.headers):
        return "its stored value was given for another host: give it again for this one"
    return "the mask stands for a stored value, and there is none: give the value"
