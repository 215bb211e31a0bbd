"""The guard against names that lie: a real name server that changes its mind, a receiver that must not be reached."""

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from socket import AF_INET, AF_INET6, AddressFamily
from urllib.parse import urlsplit

import pytest

from app.delivery.connection import Connection
from app.delivery.dialling import Dialler
from app.delivery.guard import Forbidden, Guard
from app.delivery.origin import Origin
from app.delivery.reply import Reply, TransportFailure, Unsendable
from app.delivery.request import Request
from app.delivery.resolver import Resolver, SystemResolver
from app.delivery.transport import PooledTransport
from tests.integration.delivery.hostile import Target, hangs, post, read_request, sends, target
from tests.integration.delivery.name_server import Records, name_server

ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"
OK = Reply(202, b"ok", None)
PUBLIC = "93.184.216.34"
OWN_CERTIFICATE = Path(__file__).with_name("localhost.pem")


@asynccontextmanager
async def transport(guard: Guard, timeout_seconds: float = 2) -> AsyncIterator[PooledTransport]:
    made = PooledTransport(timeout_seconds=timeout_seconds, connections=4, user_agent="test", guard=guard)
    try:
        yield made
    finally:
        await made.close()


def user_request(url: str) -> Request:
    return Request("POST", url, {"X-A": "b"}, b"{}", trusted=False)


def at(here: Target, host: str) -> str:
    """The URL of a target by another name."""
    return f"{urlsplit(here.url).scheme}://{host}:{urlsplit(here.url).port}/run"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request after the other."""
    while True:
        writer.write(ANSWER)
        await read_request(reader)


@pytest.mark.parametrize(
    "records",
    [
        ["127.0.0.1"],
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        [PUBLIC, "10.0.0.1"],
        [PUBLIC, "::1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        [PUBLIC, "::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2002:7f00:1::"],
        ["::127.0.0.1"],
        ["0.0.0.0"],
        ["::"],
        ["169.254.169.254"],
        ["fe80::1"],
        ["a.test", "127.0.0.1"],
        ["a.test", "b.test", "c.test", "localhost", "127.0.0.1"],
        ["a.test", "b.test", "::ffff:127.0.0.1"],
        ["public.example", PUBLIC, "127.0.0.1"],
    ],
    ids="+".join,
)
async def test_one_forbidden_address_refuses_the_whole(records: Records) -> None:
    async with target(sends(ANSWER)) as here, name_server(host=[records]) as names:
        guard = Guard(resolver=names)
        async with transport(guard) as sending:
            with pytest.raises(Forbidden, match=r"^host\.test has an address that is .* would allow it$"):
                await sending.send(user_request(at(here, "host.test")))
        assert await guard.check_storable("host.test") is not None
        assert here.connections == 0


async def test_a_name_that_was_public_when_it_was_stored_is_judged_again_when_it_is_dialled() -> None:
    async with target(sends(ANSWER)) as here, name_server(host=[[PUBLIC], ["127.0.0.1"], [PUBLIC]]) as names:
        guard = Guard(resolver=names)
        assert await guard.check_storable("host.test") is None
        async with transport(guard) as sending:
            with pytest.raises(Forbidden, match=r"host\.test has an address that is loopback"):
                await sending.send(user_request(at(here, "host.test")))
        assert (here.connections, names.asked["host.test"]) == (0, 2)


async def test_what_is_dialled_is_what_was_judged_and_the_name_is_asked_for_once() -> None:
    """The second answer would be forbidden: nobody hears it, because nobody asks."""
    async with target(answer) as here, name_server(host=[["127.0.0.1"], ["127.0.0.2"]]) as names:
        async with transport(Guard(allowed_networks="127.0.0.1", resolver=names)) as sending:
            for _ in range(3):
                assert await sending.send(user_request(at(here, "host.test"))) == OK
        assert (here.connections, names.asked["host.test"]) == (1, 1)
        assert here.requests[0].startswith(b"POST /run HTTP/1.1\r\nHost: host.test:")


async def test_a_name_that_moves_is_followed_when_its_connection_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.delivery.dialling._AGE_SECONDS", 0.0)
    async with target(answer) as here, name_server(host=[["127.0.0.1"], ["127.0.0.2"]]) as names:
        async with transport(Guard(allowed_networks="127.0.0.1", resolver=names)) as sending:
            assert await sending.send(user_request(at(here, "host.test"))) == OK
            with pytest.raises(Forbidden, match=r"has an address that is loopback"):
                await sending.send(user_request(at(here, "host.test")))
        assert here.connections == 1


async def test_the_fresh_connection_after_a_stale_one_is_judged_as_well() -> None:
    async with target(sends(ANSWER)) as here, name_server(host=[["127.0.0.1"], ["127.0.0.2"]]) as names:
        async with transport(Guard(allowed_networks="127.0.0.1", resolver=names)) as sending:
            assert await sending.send(user_request(at(here, "host.test"))) == OK
            await asyncio.wait_for(here.gone.wait(), 5)
            with pytest.raises(Forbidden, match=r"has an address that is loopback"):
                await sending.send(user_request(at(here, "host.test")))
        assert here.connections == 1


@pytest.mark.parametrize(
    ("allowed", "records"),
    [
        ({"allowed_networks": "127.0.0.0/8"}, ["127.0.0.1"]),
        ({"allowed_networks": "127.0.0.0/8"}, ["127.0.0.2", "127.0.0.1"]),
        ({"allowed_networks": "127.0.0.0/8"}, ["::ffff:127.0.0.1"]),
        ({"allowed_networks": "127.0.0.0/8"}, ["a.test", "localhost", "127.0.0.1"]),
        ({"allowed_networks": "0.0.0.0/0,::/0"}, ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"]),
        ({"allowed_hosts": "host.test"}, ["127.0.0.1"]),
        ({"allowed_hosts": "*.test"}, ["a.test", "127.0.0.1"]),
    ],
)
async def test_what_the_operator_allows_is_reached(allowed: dict[str, str], records: Records) -> None:
    async with target(sends(ANSWER)) as here, name_server(host=[records]) as names:
        guard = Guard(resolver=names, **allowed)
        assert await guard.check_storable("HOST.test.") is None
        async with transport(guard) as sending:
            assert await sending.send(user_request(at(here, "host.test"))) == OK
        assert here.connections == 1


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "%31%32%37.0.0.1", "１２７.0.0.1"),
        *("[::ffff:127.0.0.1]", "[::1]", "localhost", "LOCALHOST", "a.localhost", "ｌocalhost", "0"),
    ],
)
async def test_an_address_in_whatever_notation_is_refused_and_no_name_server_is_asked(host: str) -> None:
    async with target(sends(ANSWER)) as here, name_server() as names:
        guard = Guard(resolver=names)
        assert guard.refusal(host) is not None
        assert await guard.check_storable(host) == guard.refusal(host)
        async with transport(guard) as sending:
            with pytest.raises(Forbidden):
                await sending.send(user_request(at(here, host)))
        assert (here.connections, sum(names.asked.values())) == (0, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.1", "%31%32%37.0.0.1", "[::ffff:127.0.0.1]"])
async def test_an_allowed_address_is_reached_in_whatever_notation(host: str) -> None:
    async with target(sends(ANSWER)) as here, transport(Guard(allowed_networks="127.0.0.0/8")) as sending:
        assert await sending.send(user_request(at(here, host))) == OK


async def test_names_of_this_machine_are_resolved_as_the_machine_does_it() -> None:
    async with target(sends(ANSWER)) as here, transport(Guard(allowed_hosts="localhost")) as sending:
        assert await sending.send(user_request(at(here, "localhost"))) == OK


async def test_the_configured_engine_is_not_judged_and_shares_no_connection() -> None:
    async with target(answer) as here, transport(Guard(allowed_networks="127.0.0.1")) as sending:
        for _ in range(2):
            assert await post(sending, here.url, {}, b"{}") == OK
            assert await sending.send(user_request(here.url)) == OK
        assert (here.connections, len(sending.idle)) == (2, 2)
    async with target(answer) as here, transport(Guard()) as sending:
        assert await post(sending, here.url, {}, b"{}") == OK
        with pytest.raises(Forbidden):
            await sending.send(user_request(here.url))
        assert (here.connections, len(here.requests)) == (1, 1)


async def test_nothing_is_looked_up_ahead_for_what_is_not_trusted() -> None:
    async with target(hangs) as here, name_server(host=[["127.0.0.1"]]) as names:
        async with transport(Guard(allowed_hosts="host.test", resolver=names)) as sending:
            sending.prepare(at(here, "host.test"), 4, trusted=False)
            await asyncio.sleep(0.05)
        assert (here.connections, sum(names.asked.values())) == (0, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_the_metadata_service_is_not_followed(status: int) -> None:
    moved = b"HTTP/1.1 %d Moved\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n" % status
    async with target(sends(moved)) as here, name_server(host=[["127.0.0.1"]]) as names:
        async with transport(Guard(allowed_networks="127.0.0.1", resolver=names)) as sending:
            assert await sending.send(user_request(at(here, "host.test"))) == Reply(status, b"", None)
        assert (here.connections, dict(names.asked)) == (1, {"host.test": 1})


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(target(sends(ANSWER)))
        here = await stack.enter_async_context(target(sends(ANSWER)))
        names = await stack.enter_async_context(name_server(host=[["127.0.0.1"]], bad=[["127.0.0.2"]]))
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        sending = await stack.enter_async_context(transport(Guard(allowed_networks="127.0.0.1", resolver=names)))
        assert await sending.send(user_request(at(here, "host.test"))) == OK
        with pytest.raises(Forbidden):
            await sending.send(user_request(at(here, "bad.test")))
        assert (proxy.connections, here.connections) == (0, 1)


async def test_a_certificate_is_verified_against_the_name_and_not_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(OWN_CERTIFICATE))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(OWN_CERTIFICATE)
    named: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: named.append(name)

    async def loopback(_name: str) -> list[str]:
        return ["127.0.0.1"]

    async with target(sends(ANSWER), tls=server) as here:
        guard = Guard(allowed_hosts="localhost", allowed_networks="127.0.0.1", resolver=loopback)
        async with transport(guard) as sending:
            for host in ("localhost", "localhost."):
                assert await sending.send(user_request(at(here, host))) == OK
            with pytest.raises(TransportFailure, match="certificate"):
                await sending.send(user_request(at(here, "other.test")))
        assert (named, len(here.requests)) == (["localhost", "localhost", "other.test"], 2)


@pytest.mark.parametrize("host", ["straße.test", "stra%C3%9Fe.test", "xn--strae-oqa.test"])
async def test_a_target_is_told_the_name_that_was_looked_up(host: str) -> None:
    asked: list[str] = []

    async def loopback(name: str) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"]

    async with target(sends(ANSWER)) as here:
        async with transport(Guard(allowed_networks="127.0.0.1", resolver=loopback)) as sending:
            assert await sending.send(user_request(at(here, host))) == OK
        assert asked == ["xn--strae-oqa.test"]
        assert b"\r\nHost: xn--strae-oqa.test:" in here.requests[0]


@pytest.mark.parametrize("host", ["nowhere.test", "a..test", "-", "256.1.1.1", "x" * 64 + ".test"])
async def test_what_does_not_resolve_is_a_failure_and_may_be_stored_if_it_is_a_name(host: str) -> None:
    async with target(sends(ANSWER)) as here, name_server() as names:
        guard = Guard(resolver=names)
        async with transport(guard) as sending:
            with pytest.raises(TransportFailure) as failed:
                await sending.send(user_request(at(here, host)))
        assert len(str(failed.value).splitlines()) == 1
        storable = await guard.check_storable(host) is None
        assert storable == (host in ("nowhere.test", "-"))


async def test_a_name_without_an_address_is_a_failure() -> None:
    async with name_server(host=[[]]) as names, transport(Guard(resolver=names)) as sending:
        with pytest.raises(TransportFailure, match=r"no address of host\.test"):
            await sending.send(user_request("http://host.test"))


async def test_a_silent_name_server_holds_up_neither_another_target_nor_storing() -> None:
    async with target(answer) as here, name_server(slow=None, host=[["127.0.0.1"]]) as names:
        guard = Guard(allowed_networks="127.0.0.1", resolver=names)
        async with transport(guard, timeout_seconds=4) as sending:
            hanging = [asyncio.create_task(sending.send(user_request(at(here, "slow.test")))) for _ in range(20)]
            storing = asyncio.create_task(guard.check_storable("slow.test"))
            for _ in range(20):
                assert await sending.send(user_request(at(here, "host.test"))) == OK
            assert await storing is None
            assert not any(task.done() for task in hanging)
            failed = await asyncio.wait_for(asyncio.gather(*hanging, return_exceptions=True), 30)
        assert {str(each) for each in failed} == {"no connection within 4 s"}
        assert here.connections == 1


def dialling_by(dialler: Dialler, *, timeout_seconds: float) -> PooledTransport:
    """A transport whose connections are made by this one."""
    sending = PooledTransport(timeout_seconds=timeout_seconds, connections=4, user_agent="test")
    sending._dialler = dialler
    return sending


class Held(Dialler):
    """Reaches 127.0.0.2 and 127.0.0.3 only when `gate` is open, and notes of each address what became of it."""

    def __init__(self, guard: Guard, names: Resolver) -> None:
        super().__init__(guard, names)
        self.gate = asyncio.Event()
        self.dialled: list[str] = []
        self.given_up: list[str] = []
        self.made: list[Connection] = []

    async def _dial(self, origin: Origin, address: str, family: AddressFamily) -> tuple[asyncio.Transport, Connection]:
        self.dialled.append(address)
        # Whatever its name, all of them are here.
        made = await super()._dial(origin, "127.0.0.1", family)
        self.made.append(made[1])
        if address in ("127.0.0.2", "127.0.0.3"):
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.given_up.append(address)
                made[1].abort()
                raise
        return made

    def _check_peer(self, origin: Origin, address: str, transport: asyncio.BaseTransport) -> None:
        """They are others than were dialled."""


@pytest.mark.parametrize("trusted", [True, False], ids=["the engine", "a target"])
async def test_the_next_address_is_tried_beside_one_that_is_silent(trusted: bool) -> None:
    addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]

    async def names(_name: str) -> list[str]:
        return addresses

    async with target(sends(ANSWER)) as here:
        dialler = Held(Guard(allowed_networks="127.0.0.0/8", resolver=names), names)
        sending = dialling_by(dialler, timeout_seconds=20)
        # In turn they would have a third of ten seconds each.
        async with asyncio.timeout(3):
            assert await sending.send(Request("POST", at(here, "host.test"), {}, b"{}", trusted=trusted)) == OK
        assert sorted(dialler.dialled) == sorted(addresses)
        assert set(dialler.given_up) == set(dialler.dialled[:-1]), "who was tried beside it is let go"
        await sending.close()


async def test_of_two_that_are_reached_in_one_moment_one_is_closed() -> None:
    async def names(_name: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.3"]

    async with target(sends(ANSWER)) as here:
        dialler = Held(Guard(), names)
        sending = dialling_by(dialler, timeout_seconds=20)
        request = Request("POST", at(here, "host.test"), {}, b"{}", trusted=True)
        answered = asyncio.create_task(sending.send(request))
        async with asyncio.timeout(10):
            while len(dialler.made) < 2:
                await asyncio.sleep(0)
            dialler.gate.set()
            assert await answered == OK
            await here.gone.wait()
        assert dialler.given_up == []
        assert [one.reusable for one in dialler.made] == [False, False]
        assert len(here.requests) == 1
        await sending.close()


async def test_who_is_cancelled_while_the_others_are_let_go_leaves_no_connection_open() -> None:
    class Interrupting(Held):
        """Cancels who asked for a connection in the moment in which another address is let go."""

        async def _dial(
            self, origin: Origin, address: str, family: AddressFamily
        ) -> tuple[asyncio.Transport, Connection]:
            try:
                return await super()._dial(origin, address, family)
            except asyncio.CancelledError:
                asking.cancel()
                raise

    async def names(_name: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with target(hangs) as here:
        dialler = Interrupting(Guard(), names)
        sending = dialling_by(dialler, timeout_seconds=20)
        asking = asyncio.create_task(sending.send(Request("POST", at(here, "host.test"), {}, b"{}", trusted=True)))
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert dialler.given_up == ["127.0.0.2"]
        assert [one.reusable for one in dialler.made] == [False, False]
        await sending.close()


async def test_who_is_cancelled_twice_leaves_no_connection_open_that_was_just_made() -> None:
    async def names(_name: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.3"]

    async with target(hangs) as here:
        dialler = Held(Guard(), names)
        sending = dialling_by(dialler, timeout_seconds=20)
        asking = asyncio.create_task(sending.send(Request("POST", at(here, "host.test"), {}, b"{}", trusted=True)))
        async with asyncio.timeout(10):
            while len(dialler.made) < 2:
                await asyncio.sleep(0)
        dialler.gate.set()
        # Both arrive in the turn in which it is cancelled first.
        await asyncio.sleep(0)
        while not asking.done():
            asking.cancel()
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [one.reusable for one in dialler.made] == [False, False]
        await sending.close()


async def test_where_tls_fails_at_one_address_the_next_is_tried() -> None:
    secured: list[str] = []

    class Unsecured(Held):
        """Has TLS with 127.0.0.1 alone."""

        async def _secure(
            self, origin: Origin, transport: asyncio.Transport, connection: Connection, tls: ssl.SSLContext
        ) -> None:
            secured.append(self.dialled[-1])
            if secured[-1] != "127.0.0.1":
                raise ssl.SSLError("no TLS here")

    async def names(_name: str) -> list[str]:
        return ["127.0.0.9", "127.0.0.1"]

    async with target(sends(ANSWER)) as here:
        dialler = Unsecured(Guard(), names)
        sending = dialling_by(dialler, timeout_seconds=5)
        url = at(here, "host.test").replace("http:", "https:")
        assert await sending.send(Request("POST", url, {}, b"{}", trusted=True)) == OK
        assert secured == ["127.0.0.9", "127.0.0.1"]
        assert not dialler.made[0].reusable
        await sending.close()


async def test_tls_that_hangs_at_one_address_is_said_to_have_had_its_share_of_the_time() -> None:
    async def names(_name: str) -> list[str]:
        # Nobody listens at the second one.
        return ["127.0.0.1", "127.0.0.9"]

    async with target(hangs, reads_request=False) as here:
        sending = PooledTransport(timeout_seconds=2, connections=4, user_agent="test", resolver=names)
        with pytest.raises(TransportFailure, match=r"^no connection: no TLS within (1|0\.\d+) s$"):
            await post(sending, at(here, "host.test").replace("http:", "https:"), {}, b"{}")
        await sending.close()


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        *(("engine", ["engine"]), ("workflow_core", ["workflow_core"]), ("localhost", ["localhost"])),
        *(("core.internal.", ["core.internal."]), ("127.0.0.1", []), ("[::ffff:127.0.0.1]", [])),
    ],
)
async def test_what_is_trusted_is_looked_up_by_whatever_name_it_has_and_is_not_judged(
    host: str, asked: list[str]
) -> None:
    names: list[str] = []

    async def nowhere_and_here(name: str) -> list[str]:
        names.append(name)
        # Nobody listens at the first two.
        return ["127.0.0.9", "::1", "127.0.0.1"]

    async with target(sends(ANSWER)) as here:
        sending = PooledTransport(timeout_seconds=5, connections=4, user_agent="test", resolver=nowhere_and_here)
        assert await post(sending, at(here, host), {}, b"{}") == OK
        await sending.close()
        assert names == asked


async def test_the_machines_own_names_of_what_is_trusted_are_known() -> None:
    async with target(sends(ANSWER)) as here, transport(Guard()) as sending:
        assert await post(sending, at(here, "localhost"), {}, b"{}") == OK
        with pytest.raises(TransportFailure, match=r"no connection: .*not known"):
            await post(sending, "http://nowhere.invalid", {}, b"{}")


@pytest.mark.parametrize(
    ("addresses", "of_the_host"),
    [
        (["2001:db8::1"], True),
        (["2001:db8::1", "127.0.0.9"], True),
        (["127.0.0.8"], False),
        (["::1", "127.0.0.8"], False),
    ],
)
async def test_a_machine_without_ipv6_does_not_reach_the_host_and_one_without_ports_says_nothing_of_it(
    addresses: list[str], of_the_host: bool
) -> None:
    class Lacking(Dialler):
        """Has no address of the sixth version, and no port left for 127.0.0.8."""

        async def _dial(
            self, origin: Origin, address: str, family: AddressFamily
        ) -> tuple[asyncio.Transport, Connection]:
            if family is AF_INET6 or address == "127.0.0.8":
                raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
            return await super()._dial(origin, address, family)

    async def addressed(_name: str) -> list[str]:
        return addresses

    guard = Guard(allowed_hosts="host.test", resolver=addressed)
    sending = dialling_by(Lacking(guard, SystemResolver()), timeout_seconds=2)
    with pytest.raises(TransportFailure, match="no IPv6 from here" if of_the_host else "from here: .*assign") as failed:
        # Nobody listens at port 1 of 127.0.0.9.
        await sending.send(user_request("http://host.test:1"))
    assert isinstance(failed.value, Unsendable) is not of_the_host
    await sending.close()


async def test_where_this_machine_has_no_port_left_beside_a_silent_address_that_is_not_to_blame() -> None:
    class Lacking(Held):
        """Has no port left for 127.0.0.8."""

        async def _dial(
            self, origin: Origin, address: str, family: AddressFamily
        ) -> tuple[asyncio.Transport, Connection]:
            if address == "127.0.0.8":
                raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
            return await super()._dial(origin, address, family)

    async def names(_name: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.8"]

    async with target(hangs) as here:
        sending = dialling_by(Lacking(Guard(), names), timeout_seconds=0.5)
        with pytest.raises(Unsendable, match=r"no connection from here: .*assign"):
            await sending.send(Request("POST", at(here, "host.test"), {}, b"{}", trusted=True))
        await sending.close()


async def test_where_another_address_answers_than_was_dialled_nothing_is_sent() -> None:
    class Astray(Dialler):
        """Connects to somewhere else, as no machine should."""

        async def _dial(
            self, origin: Origin, address: str, family: AddressFamily
        ) -> tuple[asyncio.Transport, Connection]:
            return await super()._dial(origin, "127.0.0.1", AF_INET)

    async with target(sends(ANSWER)) as here, name_server(host=[["127.0.0.9"]]) as names:
        guard = Guard(allowed_networks="127.0.0.9", resolver=names)
        sending = dialling_by(Astray(guard, SystemResolver()), timeout_seconds=2)
        with pytest.raises(Forbidden, match=r"was to be dialled at 127\.0\.0\.9"):
            await sending.send(user_request(at(here, "host.test")))
        await sending.close()
        assert here.requests == []


async def test_one_that_resets_as_it_is_dialled_is_no_other_address_but_one_that_is_not_there() -> None:
    class Slammed(Dialler):
        """Has lost each connection before anyone could ask for its other end."""

        async def _dial(
            self, origin: Origin, address: str, family: AddressFamily
        ) -> tuple[asyncio.Transport, Connection]:
            _, connection = await super()._dial(origin, address, family)
            return asyncio.Transport(), connection

    async with target(sends(ANSWER)) as here, name_server(host=[["127.0.0.1"]]) as names:
        guard = Guard(allowed_networks="127.0.0.0/8", resolver=names)
        sending = dialling_by(Slammed(guard, SystemResolver()), timeout_seconds=2)
        with pytest.raises(TransportFailure, match="no connection: the target closed the connection at once") as failed:
            await sending.send(user_request(at(here, "host.test")))
        assert not isinstance(failed.value, Forbidden)
        await sending.close()
        assert here.requests == []


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "with TLS"])
async def test_one_that_is_closed_as_it_is_dialled_is_known_at_once_and_the_next_is_tried(tls: bool) -> None:
    class Closed(Dialler):
        """127.0.0.2 has accepted and closed before anyone is told of it."""

        async def _dial(
            self, origin: Origin, address: str, family: AddressFamily
        ) -> tuple[asyncio.Transport, Connection]:
            transport, connection = await super()._dial(origin, "127.0.0.1", family)
            if address == "127.0.0.2":
                transport.abort()
                # By then uvloop has no socket of it any more.
                for _ in range(3):
                    await asyncio.sleep(0)
            return transport, connection

        def _check_peer(self, origin: Origin, address: str, transport: asyncio.BaseTransport) -> None:
            assert not transport.is_closing()

        async def _secure(
            self, origin: Origin, transport: asyncio.Transport, connection: Connection, tls: ssl.SSLContext
        ) -> None:
            """Nothing is to be said here over one that is open."""
            assert not transport.is_closing()

    async def names(_name: str) -> list[str]:
        return addresses

    async with target(sends(ANSWER)) as here:
        sending = dialling_by(Closed(Guard(), names), timeout_seconds=20)
        url = at(here, "host.test").replace("http:", "https:") if tls else at(here, "host.test")
        addresses = ["127.0.0.2", "127.0.0.1"]
        assert await sending.send(Request("POST", url, {}, b"{}", trusted=True)) == OK
        addresses = ["127.0.0.2"]
        with pytest.raises(TransportFailure, match="no connection: the target closed the connection at once"):
            await sending.send(Request("POST", url, {}, b"{}", trusted=True))
        await sending.close()


@pytest.mark.parametrize(
    ("host", "dialled"),
    [
        (PUBLIC, [(AF_INET, PUBLIC)]),
        ("0x08080808", [(AF_INET, "8.8.8.8")]),
        ("[2606:4700:4700::1111]", [(AF_INET6, "2606:4700:4700::1111")]),
        ("[::ffff:8.8.8.8]", [(AF_INET, "8.8.8.8")]),
        ("[64:ff9b::8.8.8.8]", [(AF_INET6, "64:ff9b::808:808")]),
        ("both.test", [(AF_INET, PUBLIC), (AF_INET6, "2606:4700:4700::1111")]),
        ("BOTH.test.", [(AF_INET, PUBLIC), (AF_INET6, "2606:4700:4700::1111")]),
    ],
)
async def test_public_addresses_are_let_through(host: str, dialled: list[tuple[AddressFamily, str]]) -> None:
    async with name_server(both=[[PUBLIC, "2606:4700:4700::1111"]]) as names:
        guard = Guard(resolver=names)
        assert guard.refusal(host) is None
        assert sorted(await guard.resolve(host)) == dialled
        assert await guard.check_storable(host) is None


async def test_a_resolver_that_answers_nonsense_is_a_failure() -> None:
    async def nonsense(_name: str) -> list[str]:
        return ["not an address"]

    async def zone(_name: str) -> list[str]:
        return ["fe80::1%eth0"]

    with pytest.raises(TransportFailure, match=r"no address of host\.test"):
        await Guard(resolver=nonsense).resolve("host.test")
    with pytest.raises(Forbidden, match="one link of this machine"):
        await Guard(resolver=zone, allowed_networks="::/0").resolve("host.test")


@pytest.mark.parametrize(
    "make", [lambda: Guard(allowed_hosts="10.0.0.1/8"), lambda: Guard(allowed_networks="10.0.0.1/8")]
)
def test_a_guard_is_not_made_of_settings_that_say_something_else(make: Callable[[], Guard]) -> None:
    with pytest.raises(ValueError, match=r"'10\.0\.0\.1"):
        make()


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("10.0.0.1", "10.0.0.1 is private (RFC 1918): only "),
        ("0xa.1", "0xa.1 is at 10.0.0.1, which is private (RFC 1918): only "),
        ("[::1]", "::1 is loopback (RFC 4291): only "),
        ("localhost", "localhost is at 127.0.0.1, which is loopback (RFC 1122): only "),
        ("a\nb", "'a\\nb' is not a host: not the name of a host"),
        ("1.2.3.4.5", "1.2.3.4.5 is not a host: ends in a number, and is not an IPv4 address"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_and_why(host: str, message: str) -> None:
    refused = Guard().refusal(host)
    assert refused is not None
    assert refused.startswith(message)
