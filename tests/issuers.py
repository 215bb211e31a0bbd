"""An issuer of tokens on loopback: real keys, real HTTP, and tokens as good or as bad as a test wants them."""

import base64
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt import get_algorithm_by_name

DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/keys"
AUDIENCE = "https://schedules.example"
Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]
Part = dict[str, Any] | str | bytes


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def encoded(part: Part) -> str:
    """A part of a token: what is no object is taken as it is."""
    text = json.dumps(part) if isinstance(part, dict) else part
    return base64url(text.encode() if isinstance(text, str) else text)


@dataclass(frozen=True, slots=True)
class Signing:
    """A key pair of an issuer, under an algorithm; its `key_id` is empty where tokens have none."""

    algorithm: str
    private: Any
    key_id: str = ""

    @classmethod
    def new(cls, algorithm: str, key_id: str = "") -> "Signing":
        """A new key."""
        return cls(algorithm, _private(algorithm), key_id)

    @classmethod
    def known(cls, algorithm: str, key_id: str = "", number: int = 0) -> "Signing":
        """The same key for the same number, made once: RSA keys take long."""
        return cls(algorithm, _kept(algorithm, number), key_id)

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """The public key as an issuer publishes it; `changes` are laid over it."""
        public: dict[str, Any] = dict(
            get_algorithm_by_name(self.algorithm).to_jwk(self.private.public_key(), as_dict=True)
        )
        public.pop("key_ops", None)
        named = {"kid": self.key_id} if self.key_id else {}
        return {**public, **named, "alg": self.algorithm, "use": "sig", **changes}

    def header(self, **changes: Any) -> dict[str, Any]:
        """What a token by this key has as its header."""
        named = {"kid": self.key_id} if self.key_id else {}
        return {"alg": self.algorithm, "typ": "JWT", **named, **changes}

    def sign(self, header: Part, claims: Part) -> str:
        """A token with that header and those claims, whatever they say."""
        signed = f"{encoded(header)}.{encoded(claims)}"
        signature = get_algorithm_by_name(self.algorithm).sign(signed.encode(), self.private)
        return f"{signed}.{base64url(signature)}"

    def token(self, claims: Part, **header: Any) -> str:
        """A token with those claims; `header` is laid over its own."""
        return self.sign(self.header(**header), claims)


def _private(algorithm: str) -> Any:
    match algorithm:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ES512":
            return ec.generate_private_key(ec.SECP521R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "Ed448":
            return ed448.Ed448PrivateKey.generate()
        case _:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def _kept(algorithm: str, number: int) -> Any:
    return _private(algorithm)


class LoopbackIssuer:
    """Says where its keys are, and publishes `keys`; or answers as `discovering` and `publishing` say."""

    def __init__(self, *keys: Signing) -> None:
        self.keys: list[Any] = [key.jwk() for key in keys]
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.discovering: Answering | None = None
        self.publishing: Answering | None = None
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def listen(self, port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        """Come up, at a port of before where one is given."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=tls).start()
        self.url = f"{'http://127.0.0.1' if tls is None else 'https://localhost'}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Go away; the port stays known."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def fetches(self) -> int:
        """How often its keys were asked for."""
        return self.asked.count(JWKS)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.headers.append(dict(request.headers))
        if request.path == DISCOVERY:
            if self.discovering is not None:
                return await self.discovering(request)
            return web.json_response({"issuer": self.url, "jwks_uri": self.url + JWKS})
        if request.path == JWKS:
            if self.publishing is not None:
                return await self.publishing(request)
            return web.json_response({"keys": self.keys})
        return web.Response(status=404)
