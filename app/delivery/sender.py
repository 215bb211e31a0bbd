"""One attempt, from an assignment to what the target made of it."""

import asyncio
import hashlib
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID

import orjson

from app import __version__
from app.core import notices
from app.core.assignment import Assignment
from app.core.clock import Clock, utc_of_ms
from app.core.schedule import Completion
from app.core.sealing import SecretBox
from app.core.values import value
from app.delivery.answer import Meaning, Verdict, read_answer
from app.delivery.body import build_body
from app.delivery.callback import Callback, Callbacks
from app.delivery.composing import Composed, Composer, fields_of, fields_of_notice
from app.delivery.guard import Forbidden
from app.delivery.redacting import redacted
from app.delivery.reply import Reply, TransportFailure, Unsendable
from app.delivery.request import Request
from app.delivery.signing import Signer
from app.delivery.transport import Exchange, Transport
from app.delivery.tried import Tried, shown

USER_AGENT = f"schedule-service/{__version__}"


@value
class Delivered:
    """How one attempt went; instants in milliseconds since the epoch. `status_code` is null when no answer came, and
    `asked` false where nothing was sent, or tried to be: that says nothing of the host. `cut` says that the answer went
    on, and the rest of it was not read.
    """

    assignment: Assignment
    started_ms: int
    duration_ms: int
    status_code: int | None
    verdict: Verdict
    asked: bool = True
    cut: bool = False


class Outgoing(NamedTuple):
    """A request as it leaves. `composed` is what a target of a schedule's own was asked with; null for the engine.

    `secrets` must be shown to nobody, those that contain others first: whoever reads executions may not report for one.
    """

    request: Request
    composed: Composed | None
    secrets: tuple[str, ...] = ()

    def redacted(self, reply: Reply) -> Reply:
        """An answer without the secrets that the request held: some targets say back what they were sent.

        All of one may take tens of milliseconds. Of what a delivery keeps, `read_answer` takes them out.
        """
        if not self.secrets:
            return reply
        # All headers at once: there may be very many. No secret has a NUL, and neither has a header.
        joined = "\0".join(part for header in reply.headers for part in header)
        parts = redacted(joined.encode(), self.secrets).decode().split("\0")
        # One that was cut may end within a secret.
        body = redacted(reply.body, self.secrets, cut=reply.cut)
        return replace(reply, body=body, headers=tuple(zip(parts[::2], parts[1::2], strict=False)))


@dataclass(slots=True, eq=False)
class BegunAttempt:
    """An attempt that has been begun, since when, and what is on its way; or why nothing is."""

    assignment: Assignment
    started_ms: int
    began: float
    outgoing: Outgoing | None = None
    exchange: Exchange | None = None
    failed: TransportFailure | None = None


class Sender:
    """Builds, signs and sends requests: to a schedule's own target, or else to the configured workflow engine."""

    def __init__(
        self,
        transport: Transport,
        signer: Signer,
        clock: Clock,
        *,
        engine_url: str,
        callbacks: Callbacks | None = None,
        secrets: SecretBox | None = None,
    ) -> None:
        self._transport = transport
        self._callbacks = callbacks
        self._signer = signer
        self._clock = clock
        self._engine_url = engine_url
        self._composer = Composer(secrets or SecretBox(()))

    def prepare(self, requests: int) -> None:
        """Get ready for so many attempts that are about to be sent to the workflow engine at once."""
        self._transport.prepare(self._engine_url, requests, trusted=True)

    def begin(self, assignment: Assignment) -> BegunAttempt:
        """Begin to send one attempt now: where a connection is idle it has left when this returns."""
        attempt = BegunAttempt(assignment, self._clock.now_ms(), self._clock.monotonic())
        try:
            attempt.outgoing = self.compose(assignment, attempt.started_ms)
            attempt.exchange = self._transport.begin(attempt.outgoing.request)
        except TransportFailure as failed:
            attempt.failed = failed
        return attempt

    async def finish(self, attempt: BegunAttempt) -> Delivered:
        """What comes of it. Whatever the target does, this answers."""
        status_code, asked, cut = None, True, False
        outgoing, exchange = attempt.outgoing, attempt.exchange
        try:
            if outgoing is None or exchange is None:
                assert attempt.failed is not None
                raise attempt.failed
            reply = await self._transport.finish(exchange)
            status_code, cut = reply.status, reply.cut
            verdict = read_answer(reply, self._clock.now(), outgoing.secrets)
        except TransportFailure as failed:
            verdict, asked = _unanswered(failed), not isinstance(failed, (Forbidden, Unsendable))
        duration_ms = round((self._clock.monotonic() - attempt.began) * 1000)
        return Delivered(attempt.assignment, attempt.started_ms, duration_ms, status_code, verdict, asked, cut)

    def abandon(self, attempt: BegunAttempt) -> None:
        """Nobody waits for what comes of it any more; instead of `finish`."""
        if attempt.exchange is not None:
            self._transport.abandon(attempt.exchange)

    async def send(self, assignment: Assignment) -> Delivered:
        """Begin, and finish."""
        return await self.finish(self.begin(assignment))

    async def try_out(self, assignment: Assignment) -> Tried:
        """Send one attempt now, as `send` does, and tell all of it but what is secret."""
        started_ms, began = self._clock.now_ms(), self._clock.monotonic()
        request = reply = None
        try:
            outgoing = self.compose(assignment, started_ms)
            sent = replace(outgoing.request, keep_headers=True)
            hidden = frozenset[str]() if outgoing.composed is None else outgoing.composed.hidden
            request = shown(sent.url, self._transport.written(sent), hidden)
            answer = await self._transport.send(sent)
            verdict = read_answer(answer, self._clock.now(), outgoing.secrets)
            # Whatever else this process does goes on meanwhile.
            reply = await asyncio.to_thread(outgoing.redacted, answer)
        except TransportFailure as failed:
            verdict = _unanswered(failed)
        return Tried(round((self._clock.monotonic() - began) * 1000), request, reply, verdict)

    def compose(self, assignment: Assignment, started_ms: int) -> Outgoing:
        """The request of an attempt that is sent at `started_ms`, signed.

        Raises Unsendable where its target's templates or secrets do not come to one.
        """
        token: tuple[str, ...] = ()
        if assignment.is_notice:
            composed = self._notice(assignment, started_ms)
        else:
            callback = self._callback(assignment)
            token = () if callback is None else (callback.token,)
            body = build_body(assignment, started_ms, None if callback is None else callback.encoded)
            if assignment.target is None:
                url = f"{self._engine_url}/api/v1/workflows/{assignment.workflow_id}/execute"
                headers = self._signed({"Content-Type": "application/json"}, assignment, started_ms, body)
                return Outgoing(Request("POST", url, headers, body, trusted=True), None, token)
            values = fields_of(orjson.loads(body), orjson.loads(assignment.context_json))
            composed = self._composer.compose(assignment.target, values, body)
        headers = self._signed(composed.headers, assignment, started_ms, composed.body)
        request = Request(composed.method, composed.url, headers, composed.body, trusted=False)
        return Outgoing(request, composed, tuple(sorted((*composed.secrets, *token), key=len, reverse=True)))

    def _notice(self, assignment: Assignment, started_ms: int) -> Composed:
        said, context = notices.read(assignment.context_json)
        content = notices.body_of(said, assignment.execution_id, assignment.attempt, utc_of_ms(started_ms))
        values, body = fields_of_notice(content, context), orjson.dumps(content)
        if assignment.target is None:
            raise Unsendable("there is nobody to tell any more")
        if assignment.tells_target:
            return self._composer.compose_cancellation(assignment.target, values, body)
        return self._composer.compose(assignment.target, values, body)

    def _callback(self, assignment: Assignment) -> Callback | None:
        if self._callbacks is None or assignment.completion is not Completion.CALLBACK:
            return None
        return self._callbacks.of(assignment.execution_id)

    def _signed(self, own: dict[str, str], assignment: Assignment, started_ms: int, body: bytes) -> dict[str, str]:
        execution_id = str(assignment.execution_id)
        timestamp = started_ms // 1000
        headers = {
            **own,
            "Idempotency-Key": execution_id,
            "webhook-id": execution_id,
            "webhook-timestamp": str(timestamp),
            "traceparent": traceparent(assignment.execution_id, assignment.attempt),
        }
        signature = self._signer.sign(execution_id, timestamp, body)
        if signature is not None:
            headers["webhook-signature"] = signature
        return headers


def _unanswered(failure: TransportFailure) -> Verdict:
    """No answer is tried again; a target where none may be is not."""
    return Verdict(Meaning.REFUSED if isinstance(failure, Forbidden) else Meaning.RETRY, str(failure))


def traceparent(execution_id: UUID, attempt: int) -> str:
    """The W3C trace context of an attempt: one trace an execution, one span an attempt.

    Derived, so that logs and a target's spans can be joined on the execution's id without storing anything.
    """
    span = hashlib.blake2b(execution_id.bytes + attempt.to_bytes(4, "big"), digest_size=8).hexdigest()
    return f"00-{execution_id.hex}-{span}-01"
