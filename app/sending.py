"""What calls targets, put together from the settings: in a worker to deliver, in the API to try a target."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.core.callbacks import CallbackTokens
from app.core.clock import Clock
from app.core.errors import ConfigurationException
from app.core.sealing import SecretBox
from app.delivery.callback import Callbacks
from app.delivery.guard import Guard
from app.delivery.sender import USER_AGENT, Sender
from app.delivery.signing import Signer
from app.delivery.transport import PooledTransport
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Sending:
    """How this deployment signs, seals, guards and is reported to: the same in every process."""

    settings: Settings
    signer: Signer
    callbacks: Callbacks | None
    secrets: SecretBox
    guard: Guard

    @classmethod
    def of(cls, settings: Settings) -> "Sending":
        """Read from the settings, before anything is connected to.

        Raises ConfigurationException.
        """
        return cls(
            settings,
            Signer.from_setting(settings.webhook_signing_secrets),
            _callbacks(settings),
            SecretBox.from_setting(settings.secret_key),
            Guard(allowed_hosts=settings.target_allowed_hosts, allowed_networks=settings.target_allowed_networks),
        )

    @asynccontextmanager
    async def sender(self, clock: Clock, *, connections: int) -> AsyncIterator[Sender]:
        """A sender with connections of its own, of which so many are kept to one target."""
        transport = PooledTransport(
            timeout_seconds=self.settings.trigger_request_timeout_seconds,
            connections=connections,
            user_agent=USER_AGENT,
            guard=self.guard,
        )
        try:
            yield Sender(
                transport,
                self.signer,
                clock,
                engine_url=self.settings.workflow_engine_url,
                callbacks=self.callbacks,
                secrets=self.secrets,
            )
        finally:
            await transport.close()


def _callbacks(settings: Settings) -> Callbacks | None:
    """How targets report; null where there is no address at which they reach the API.

    Raises ConfigurationException.
    """
    tokens = CallbackTokens.from_setting(settings.secret_key)
    if not settings.public_url:
        return None
    if not tokens:
        raise ConfigurationException(
            "PUBLIC_URL is set and SECRET_KEY holds no key: the token with which a target reports is made from it"
        )
    return Callbacks(settings.public_url, tokens)
