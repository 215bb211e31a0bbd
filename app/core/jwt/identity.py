"""Who calls, by the claims of a token whose signature was verified."""

import re
from dataclasses import dataclass
from typing import Any

from app.core.errors import PermissionDeniedException
from app.core.principal import HIGHEST_COMMUNITY, NotCaller, Principal, Role

LONGEST_USER = 255
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
# Postgres takes no NUL, and UTF-8 no half of a surrogate pair; a name of several lines is none. Marks that have no
# width, or turn the text beside them round, would have one name look like another (Unicode TR 36); joiners stay.
_NO_NAME = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\ufffb]"
)


@dataclass(frozen=True, slots=True)
class Naming:
    """Which claims say what. A dot in a name reaches into an object, unless a claim is called so as a whole."""

    community: str
    role: str
    user: str

    def principal(self, claims: dict[str, Any], request_id: str | None) -> Principal:
        """The caller.

        Raises PermissionDeniedException where the claims name no community, role or user: who is calling is known to
        the issuer, and a new token would say the same. Only who gives the rights there can help, so it is a 403.
        """
        return Principal(self._community(claims), self._user(claims), self._role(claims), request_id)

    def _community(self, claims: dict[str, Any]) -> int:
        found = _whole_number(_claim(claims, self.community))
        if found is None or not 1 <= found <= HIGHEST_COMMUNITY:
            raise PermissionDeniedException(
                f"The token names no community: its claim {self.community!r} must be a whole number from 1 to "
                f"{HIGHEST_COMMUNITY}."
            )
        return found

    def _role(self, claims: dict[str, Any]) -> Role:
        found = _claim(claims, self.role)
        named = found if isinstance(found, list) else [found]
        roles = [role for role in Role if role.value in named]
        if not roles:
            raise PermissionDeniedException(
                f"The token names no role: its claim {self.role!r} must be, or have in its list, one of "
                f"{', '.join(Role)}."
            )
        # They are declared from the lowest to the highest.
        return roles[-1]

    def _user(self, claims: dict[str, Any]) -> str:
        found = _claim(claims, self.user)
        name = str(found) if _whole_number(found) is not None else found
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_USER or _NO_NAME.search(name):
            raise PermissionDeniedException(
                f"The token names no user: its claim {self.user!r} must be text of 1 to {LONGEST_USER} characters, "
                "in one line, without invisible ones."
            )
        if name in tuple(NotCaller):
            # With some issuers everyone chooses a name.
            raise PermissionDeniedException(
                f"The token names no user: its claim {self.user!r} is {name!r}, by which the audit trail has others."
            )
        return name


def _claim(claims: dict[str, Any], name: str) -> object:
    """The claim of that name; null where there is none."""
    if name in claims:
        return claims[name]
    found: object = claims
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def _whole_number(value: object) -> int | None:
    """A positive number, as one or in decimal digits; of at most nineteen."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, int):
        # Not written out: Python refuses to for one of thousands of digits.
        return value if 0 < value < 10**19 else None
    return int(value) if _NUMBER.fullmatch(value) else None
