"""A name server on loopback that answers what a test tells it to, differently each time, or never."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Records = list[str]
"""The answer to one question: names first, each a CNAME to what follows, then the addresses."""


@dataclass(slots=True)
class NameServer(asyncio.DatagramProtocol):
    """Answers the first question for a name with the first of its answers, and so on; the last one again and again.

    A name without an answer does not exist; one whose answers are null is never answered.
    """

    answers: dict[str, list[Records] | None] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    port: int = 0
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True), question.rdtype
        if kind is dns.rdatatype.A:
            self.asked[name] += 1
        answers = self.answers.get(name, [])
        if answers is None:
            return
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if not answers:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            records = answers[min(self.asked[name], len(answers)) - 1]
            reply.answer = _sections(question.name.to_text(), records, kind)
        assert self._transport is not None
        self._transport.sendto(reply.to_wire(), addr)

    async def __call__(self, name: str) -> Sequence[str]:
        """Resolve by asking it, over UDP."""
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], self.port
        found: list[str] = []
        try:
            for kind in ("A", "AAAA"):
                answer = await resolver.resolve(f"{name}.", kind, raise_on_no_answer=False)
                found += [record.address for record in answer]
        except dns.exception.DNSException as failed:
            raise OSError(str(failed)) from failed
        return found


def _sections(owner: str, records: Records, kind: dns.rdatatype.RdataType) -> list[dns.rrset.RRset]:
    addresses = [record for record in records if record[0].isdigit() or ":" in record]
    sections = []
    for record in records[: len(records) - len(addresses)]:
        sections.append(dns.rrset.from_text(owner, 0, "IN", "CNAME", f"{record}."))
        owner = f"{record}."
    asked = [address for address in addresses if (":" in address) is (kind is dns.rdatatype.AAAA)]
    if asked:
        sections.append(dns.rrset.from_text(owner, 0, "IN", kind, *asked))
    return sections


@asynccontextmanager
async def name_server(**answers: list[Records] | None) -> AsyncIterator[NameServer]:
    """A name server for names below `.test`."""
    loop = asyncio.get_running_loop()
    here = NameServer({f"{name}.test": listed for name, listed in answers.items()})
    transport, _ = await loop.create_datagram_endpoint(lambda: here, local_addr=("127.0.0.1", 0))
    try:
        yield here
    finally:
        transport.close()
        await asyncio.sleep(0)
