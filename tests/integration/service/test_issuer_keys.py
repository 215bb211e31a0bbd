"""The keys of an issuer, kept: over real HTTP, by a clock that a test moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import structlog

from app.core.errors import InvalidTokenException, IssuerUnavailableException
from app.core.jwt.identity import Naming
from app.core.jwt.keys import KeySet
from app.core.jwt.rules import Rules
from app.core.tasks import end
from app.issuer import Issuer
from app.metrics import Metrics
from app.service.issuer_keys import APART_SECONDS, KEPT_SECONDS, MOST_WAITING, STALE_SECONDS, IssuerKeys
from app.service.tokens import TokenService
from tests.clocks import START, ManualClock
from tests.issuers import AUDIENCE, LoopbackIssuer, Signing

OLD, NEW = Signing.known("ES256", "old"), Signing.known("ES256", "new", 1)
STRANGER = Signing.known("ES256", "strange", 2)
NAMING = Naming(community="community_id", role="role", user="sub")


class Checking:
    """A service that checks the tokens of an issuer, and what shows of it."""

    def __init__(self, issuer: LoopbackIssuer, keys: IssuerKeys, clock: ManualClock, metrics: Metrics) -> None:
        self.issuer = issuer
        self.keys = keys
        self.clock = clock
        self.metrics = metrics
        self.tokens = TokenService(keys, clock, Rules(issuer.url, AUDIENCE, ("ES256",)), NAMING)

    def token(self, signing: Signing = OLD, **changes: object) -> str:
        """A token that counts for years."""
        claims = {"iss": self.issuer.url, "aud": AUDIENCE, "exp": START.timestamp() + 1e9, "sub": "ada"}
        return signing.token({**claims, "community_id": 7, "role": "editor", **changes})

    async def caller(self, signing: Signing = OLD) -> str:
        """Who is known by a token of that key."""
        return (await self.tokens.authenticate(self.token(signing), None)).user

    async def fetched(self, number: int, *, failed: int = 0) -> None:
        """Wait until the keys were fetched so often, and the next fetch waits for its time."""
        async with asyncio.timeout(10):
            while (self.shown("succeeded"), self.shown("failed")) != (number, failed):
                await asyncio.sleep(0.005)
        await settled()

    def shown(self, outcome: str) -> float:
        name = "schedule_service_jwks_fetches_total"
        return self.metrics.registry.get_sample_value(name, {"outcome": outcome}) or 0

    @property
    def age_seconds(self) -> float | None:
        return self.metrics.registry.get_sample_value("schedule_service_jwks_age_seconds")


@asynccontextmanager
async def checking(issuer: LoopbackIssuer) -> AsyncIterator[Checking]:
    """The service while its keys are kept."""
    clock, metrics = ManualClock(), Metrics()
    async with Issuer.reached(issuer.url, "") as reached:
        keys = IssuerKeys(reached.keys, clock, metrics)
        keeping = asyncio.create_task(keys.keep())
        try:
            yield Checking(issuer, keys, clock, metrics)
        finally:
            assert await end(keeping) == []


@pytest.fixture
async def issuer() -> AsyncIterator[LoopbackIssuer]:
    async with LoopbackIssuer(OLD) as here:
        yield here


@pytest.fixture
async def service(issuer: LoopbackIssuer) -> AsyncIterator[Checking]:
    async with checking(issuer) as here:
        yield here


async def settled() -> None:
    """Let all that can go on without time or answers go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def answered(issuer: LoopbackIssuer) -> None:
    """Wait for an answer of the issuer: by then it has also been asked what others had begun to ask."""
    async with httpx.AsyncClient() as client:
        for _ in range(3):
            assert (await client.get(f"{issuer.url}/nothing")).status_code == 404


async def test_the_first_callers_wait_for_the_keys_and_share_them(service: Checking) -> None:
    assert await asyncio.gather(*(service.caller() for _ in range(50))) == ["ada"] * 50
    await service.fetched(1)
    assert await service.caller() == "ada"
    assert service.issuer.fetches == 1


async def test_they_are_fetched_again_after_a_while_and_a_withdrawn_key_counts_no_longer(service: Checking) -> None:
    await service.caller()
    service.issuer.keys = [NEW.jwk()]
    service.clock.move(KEPT_SECONDS - 1)
    await settled()
    assert await service.caller() == "ada"
    assert service.issuer.fetches == 1
    assert service.age_seconds == KEPT_SECONDS - 1
    service.clock.move(1)
    await service.fetched(2)
    assert service.age_seconds == 0
    assert await service.caller(NEW) == "ada"
    refused = asyncio.create_task(service.caller(OLD))
    await settled()
    service.clock.move(APART_SECONDS)
    with pytest.raises(InvalidTokenException, match=r"\(kid\) is none of its issuer's"):
        await refused


async def test_a_rotation_fails_no_request(service: Checking) -> None:
    """The issuer publishes the next key, signs by it, and then withdraws the old one."""
    await service.caller()
    service.issuer.keys = [OLD.jwk(), NEW.jwk()]
    service.clock.move(APART_SECONDS)
    callers = [service.caller(signing) for _ in range(25) for signing in (OLD, NEW)]
    assert await asyncio.gather(*callers) == ["ada"] * 50
    assert service.issuer.fetches == 2
    service.issuer.keys = [NEW.jwk()]
    service.clock.move(KEPT_SECONDS)
    await service.fetched(3)
    assert await service.caller(NEW) == "ada"


async def test_a_key_that_comes_right_after_a_fetch_is_waited_for(service: Checking) -> None:
    await service.caller()
    service.issuer.keys = [OLD.jwk(), NEW.jwk()]
    waiting = [asyncio.create_task(service.caller(NEW)) for _ in range(5)]
    await answered(service.issuer)
    assert service.issuer.fetches == 1
    assert await service.caller(OLD) == "ada"
    service.clock.move(APART_SECONDS)
    assert await asyncio.gather(*waiting) == ["ada"] * 5
    assert service.issuer.fetches == 2


async def test_a_flood_of_unknown_keys_is_one_fetch_an_interval_and_holds_up_nobody(service: Checking) -> None:
    await service.caller()
    for interval in range(1, 4):
        service.clock.move(APART_SECONDS)
        flood = [asyncio.create_task(service.caller(Signing("ES256", STRANGER.private, f"{n}"))) for n in range(1000)]
        await settled()
        assert await service.caller() == "ada"
        answers = await asyncio.gather(*flood, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, InvalidTokenException)]
        put_off = [answer for answer in answers if isinstance(answer, IssuerUnavailableException)]
        assert (len(refused), len(put_off)) == (MOST_WAITING, 1000 - MOST_WAITING)
        assert service.issuer.fetches == 1 + interval
        one_more = asyncio.create_task(service.caller(STRANGER))
        await answered(service.issuer)
        assert service.issuer.fetches == 1 + interval
        assert not one_more.done()
        one_more.cancel()


async def test_what_can_be_refused_without_a_key_causes_no_fetch(service: Checking) -> None:
    await service.caller()
    service.clock.move(APART_SECONDS)
    for wrong in ({"iss": "https://id.example"}, {"aud": "other"}, {"exp": 1}, {"nbf": 1e11}):
        with pytest.raises(InvalidTokenException):
            await service.tokens.authenticate(service.token(STRANGER, **wrong), None)
    assert service.issuer.fetches == 1


async def test_a_caller_who_leaves_ends_no_fetch_of_the_others(service: Checking) -> None:
    await service.caller()
    service.issuer.keys = [NEW.jwk()]
    leaving, staying = asyncio.create_task(service.caller(NEW)), asyncio.create_task(service.caller(NEW))
    await settled()
    leaving.cancel()
    await settled()
    service.clock.move(APART_SECONDS)
    assert await staying == "ada"


@pytest.mark.fault("28")
async def test_an_issuer_that_is_away_costs_nothing_while_its_keys_are_known_for_a_day(service: Checking) -> None:
    await service.caller()
    await service.issuer.close()
    with structlog.testing.capture_logs() as logged:
        service.clock.move(KEPT_SECONDS)
        await service.fetched(1, failed=1)
        for failed in range(2, 5):
            assert await service.caller() == "ada"
            service.clock.move(APART_SECONDS)
            await service.fetched(1, failed=failed)
    assert [(line["event"], line["keys"]) for line in logged] == [("jwks_away", 1)]
    # Whether an unknown key is good cannot be told: the token is not called wrong.
    unknown = asyncio.create_task(service.caller(NEW))
    await settled()
    service.clock.move(APART_SECONDS)
    with pytest.raises(IssuerUnavailableException, match="not known here yet"):
        await unknown
    service.clock.move(STALE_SECONDS - service_age(service))
    assert await service.caller() == "ada"
    service.clock.move(0.001)
    with pytest.raises(IssuerUnavailableException):
        await service.caller()
    await service.issuer.listen(service.issuer.port)
    service.clock.move(APART_SECONDS)
    async with asyncio.timeout(10):
        while service.shown("succeeded") < 2:
            await asyncio.sleep(0.005)
            service.clock.move(APART_SECONDS)
    assert await service.caller() == "ada"


def service_age(service: Checking) -> float:
    """Seconds since its keys were fetched."""
    assert service.age_seconds is not None
    return service.age_seconds


@pytest.mark.fault("28")
async def test_where_no_keys_were_ever_fetched_no_token_is_called_wrong_and_the_log_stays_short(
    issuer: LoopbackIssuer,
) -> None:
    await issuer.close()
    with structlog.testing.capture_logs() as logged:
        async with checking(issuer) as service:
            await service.fetched(0, failed=1)
            for _ in range(100):
                with pytest.raises(IssuerUnavailableException, match="are not known"):
                    await service.caller()
            assert service.shown("failed") == 1
            service.clock.move(APART_SECONDS)
            await service.fetched(0, failed=2)
            assert service.age_seconds == APART_SECONDS
            await issuer.listen(issuer.port)
            service.clock.move(APART_SECONDS)
            await service.fetched(1, failed=2)
            assert await service.caller() == "ada"
    assert [line["event"] for line in logged] == ["jwks_away", "jwks_fetched"]


async def test_while_it_stays_away_the_log_says_so_every_five_minutes(issuer: LoopbackIssuer) -> None:
    await issuer.close()
    with structlog.testing.capture_logs() as logged:
        async with checking(issuer) as service:
            for failed in range(1, 122):
                await service.fetched(0, failed=failed)
                service.clock.move(APART_SECONDS)
    assert [line["event"] for line in logged] == ["jwks_away"] * 3


async def test_an_issuer_that_publishes_no_key_of_use_has_withdrawn_the_others(service: Checking) -> None:
    await service.caller()
    for number, published in enumerate(([], [OLD.jwk(use="enc")], [{"kty": "oct", "k": "AAAA"}]), 1):
        service.issuer.keys = published
        with structlog.testing.capture_logs() as logged:
            service.clock.move(KEPT_SECONDS)
            await service.fetched(number, failed=number)
        assert f"publishes {len(published)} keys, and none" in logged[-1]["error"]
        assert service.age_seconds == KEPT_SECONDS, "the alert goes by it"
        with pytest.raises(IssuerUnavailableException):
            await service.caller()
        service.issuer.keys = [OLD.jwk()]
        service.clock.move(APART_SECONDS)
        await service.fetched(number + 1, failed=number)
        assert await service.caller() == "ada"


async def test_what_a_fetch_logs_names_no_request_that_waits_for_it() -> None:
    known: list[dict[str, object]] = []

    async def fetch() -> KeySet:
        known.append(dict(structlog.contextvars.get_contextvars()))
        return KeySet.read({"keys": [OLD.jwk()]})

    with structlog.contextvars.bound_contextvars(request_id="first"):
        await IssuerKeys(fetch, ManualClock(), Metrics()).current()
    assert known == [{}]


async def test_an_error_that_nothing_expected_ends_no_keeping(issuer: LoopbackIssuer) -> None:
    clock, metrics = ManualClock(), Metrics()
    async with Issuer.reached(issuer.url, "") as reached:
        broken = [True]

        async def fetch() -> KeySet:
            if broken.pop():
                raise RuntimeError("out of memory")
            return await reached.keys()

        keys = IssuerKeys(fetch, clock, metrics)
        service = Checking(issuer, keys, clock, metrics)
        keeping = asyncio.create_task(keys.keep())
        with structlog.testing.capture_logs() as logged:
            await service.fetched(0, failed=1)
        assert [line["event"] for line in logged] == ["jwks_poison", "jwks_away"]
        broken.append(False)
        clock.move(APART_SECONDS)
        await service.fetched(1, failed=1)
        assert await service.caller() == "ada"
        assert await end(keeping) == []
