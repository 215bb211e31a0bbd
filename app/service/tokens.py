"""Tokens of an issuer: who calls, by a JWT."""

from app.core.clock import Clock
from app.core.errors import InvalidTokenException
from app.core.jwt.compact import read_token
from app.core.jwt.identity import Naming
from app.core.jwt.keys import verify
from app.core.jwt.rules import Rules
from app.core.principal import Principal
from app.service.issuer_keys import IssuerKeys


class TokenService:
    """Checks the tokens of one issuer. Nothing of them is kept, and nothing is logged."""

    def __init__(self, keys: IssuerKeys, clock: Clock, rules: Rules, naming: Naming) -> None:
        self._keys = keys
        self._clock = clock
        self._rules = rules
        self._naming = naming

    async def authenticate(self, text: str, request_id: str | None) -> Principal:
        """Who a token is of.

        What can be refused without a key is: a token that is expired or another's has no keys fetched.

        Raises InvalidTokenException; PermissionDeniedException where it says no community, role or user; and
        IssuerUnavailableException where its key is not known, and the issuer does not tell.
        """
        token = read_token(text)
        self._rules.check(token, now_ms=self._clock.now_ms())
        known = await self._keys.current()
        key = known.find(token) or (await self._keys.newer(known)).find(token)
        if key is None:
            raise InvalidTokenException("The token's key (kid) is none of its issuer's.")
        verify(token, key)
        return self._naming.principal(token.claims, request_id)
