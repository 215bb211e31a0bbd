"""Answers to requests that carried an `Idempotency-Key`, so that a repeated request gets the first answer."""

from datetime import datetime, timedelta

import orjson

from app.core.errors import IdempotencyKeyReusedException
from app.core.queries import Answer, Idempotency
from app.store.database import Connection

KEPT = timedelta(hours=24)

# The row is there from the first statement of the transaction on, so a second request with the same key waits here
# until the first one has ended. The update takes over a row that is too old to count.
_CLAIM = """
    INSERT INTO idempotency_keys AS k (community_id, key, fingerprint, status, headers, body, created_at)
    VALUES ($1, $2, $3, 0, '{}', '', $4)
        ON CONFLICT (community_id, key) DO UPDATE
       SET fingerprint = excluded.fingerprint, status = 0, headers = '{}', body = '', created_at = excluded.created_at
     WHERE k.created_at <= $5
    RETURNING true
"""
_STORED = "SELECT fingerprint, status, headers, body FROM idempotency_keys WHERE community_id = $1 AND key = $2"
_KEEP = "UPDATE idempotency_keys SET status = $3, headers = $4, body = $5 WHERE community_id = $1 AND key = $2"


async def claim(
    connection: Connection, community_id: int, request: Idempotency, *, now: datetime, surely: datetime
) -> Answer | None:
    """Claim a key for this transaction, or give the answer that an earlier request with it was given.

    Waits for a concurrent transaction with the same key; where that one is rolled back, the claim succeeds. What is too
    old is so by each clock: one that was set ahead has no request done twice.

    Raises IdempotencyKeyReusedException when the earlier request was another one.
    """
    while True:
        claimed = await connection.fetchval(_CLAIM, community_id, request.key, request.fingerprint, now, surely - KEPT)
        if claimed:
            return None
        stored = await connection.fetchrow(_STORED, community_id, request.key)
        if stored is not None:
            break
        # It was forgotten between the two statements: claim it again.
    if stored["fingerprint"] != request.fingerprint:
        raise IdempotencyKeyReusedException(
            f"the idempotency key '{request.key}' was used within the last 24 hours for another request"
        )
    return Answer(stored["status"], orjson.loads(stored["headers"]), stored["body"])


async def keep(connection: Connection, community_id: int, request: Idempotency, answer: Answer) -> None:
    """Store the answer to the request whose key this transaction has claimed."""
    headers = orjson.dumps(dict(answer.headers)).decode()
    await connection.execute(_KEEP, community_id, request.key, answer.status, headers, answer.body)
