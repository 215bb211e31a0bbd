"""Signatures, verified by the library that receivers use."""

import base64
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.core.errors import ConfigurationException
from app.delivery.signing import Signer


def _secret(fill: bytes, length: int = 32) -> str:
    return "whsec_" + base64.b64encode(fill * length).decode()


OLD, NEW, FOREIGN = _secret(b"o"), _secret(b"n"), _secret(b"f")
BODY = json.dumps({"a": "ü", "b": [1, 2]}).encode()
NOW = 1_795_000_000


@pytest.fixture
def now() -> int:
    """The library looks at the machine's clock, and takes nothing that is older than five minutes."""
    return int(datetime.now(UTC).timestamp())


def _headers(signature: str | None, timestamp: int, message_id: str = "0192f3a0") -> dict[str, str]:
    assert signature is not None
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def _verified(secret: str, body: bytes, headers: dict[str, str]) -> object:
    return Webhook(secret).verify(body, headers)


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_receivers_with_either_key_verify_a_signature_during_a_rotation(secret: str, now: int) -> None:
    signature = Signer.from_setting(f"{NEW}, {OLD}").sign("0192f3a0", now, BODY)
    assert _verified(secret, BODY, _headers(signature, now)) == json.loads(BODY)


def test_the_newest_key_signs_first() -> None:
    both = Signer.from_setting(f"{NEW},{OLD}").sign("0192f3a0", NOW, BODY)
    assert both == " ".join(str(Signer.from_setting(secret).sign("0192f3a0", NOW, BODY)) for secret in (NEW, OLD))


@pytest.mark.parametrize(
    ("secret", "body", "message_id", "later"),
    [
        (OLD, BODY + b" ", "0192f3a0", 0),
        (OLD, BODY.replace(b"1", b"2"), "0192f3a0", 0),
        (OLD, b"", "0192f3a0", 0),
        (OLD, BODY, "0192f3a1", 0),
        (OLD, BODY, "0192f3a0", 1),
        (FOREIGN, BODY, "0192f3a0", 0),
    ],
)
def test_whatever_is_tampered_with_is_not_verified(
    secret: str, body: bytes, message_id: str, later: int, now: int
) -> None:
    signature = Signer.from_setting(OLD).sign("0192f3a0", now, BODY)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        _verified(secret, body, _headers(signature, now + later, message_id))


def test_a_signature_is_what_the_library_would_have_written() -> None:
    at = datetime.fromtimestamp(NOW, UTC)
    assert Signer.from_setting(OLD).sign("0192f3a0", NOW, BODY) == Webhook(OLD).sign("0192f3a0", at, BODY.decode())


@pytest.mark.parametrize("setting", ["", " ", ",", " , ,"])
def test_without_a_key_nothing_is_signed(setting: str) -> None:
    assert Signer.from_setting(setting).sign("0192f3a0", NOW, BODY) is None


@pytest.mark.parametrize("length", [24, 32, 64])
def test_keys_of_the_specified_lengths_are_taken(length: int, now: int) -> None:
    secret = _secret(b"k", length)
    assert _verified(secret, BODY, _headers(Signer.from_setting(secret).sign("0192f3a0", now, BODY), now))


@pytest.mark.parametrize(
    "wrong",
    [
        "secret",
        "whsec_",
        "whsec_not base64",
        "whsec_%%%%",
        "whsec_äöü",
        "wh\u017fec_" + "A" * 44,
        _secret(b"k", 23),
        _secret(b"k", 65),
        _secret(b"k").removeprefix("whsec_"),
        _secret(b"k").replace("whsec_", "WHSEC_"),
        "whpk_" + _secret(b"k").removeprefix("whsec_"),
        _secret(b"k", 32).rstrip("="),
        _secret(b"k") + "\n" + _secret(b"k"),
    ],
)
@pytest.mark.parametrize("position", [1, 2])
def test_a_wrong_secret_is_refused_by_its_position_and_not_repeated(wrong: str, position: int) -> None:
    with pytest.raises(ConfigurationException) as refused:
        Signer.from_setting(",".join([OLD] * (position - 1) + [wrong]))
    assert refused.value.detail.startswith(f"WEBHOOK_SIGNING_SECRETS: secret {position} ")
    assert wrong.removeprefix("whsec_") not in refused.value.detail or wrong in ("secret", "whsec_")
    assert refused.value.__context__ is None or refused.value.__suppress_context__
