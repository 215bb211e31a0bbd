"""Stepping down from root: Postgres refuses to run as root, and nothing embedded needs to."""

import os
import pwd
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.embedded.errors import EmbeddedServerException

_PREFERRED = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine that a server runs as."""

    name: str
    uid: int
    gid: int


def account_for(existing: Path) -> Account | None:
    """The user to step down to, or None when this process is not root and just runs as who it is.

    A folder that is there already keeps its owner, so that a data directory made by a normal user and started once by
    root is still theirs. Otherwise `postgres`, where there is one, else `nobody`.

    Raises EmbeddedServerException when this machine has neither.
    """
    if os.geteuid() != 0:
        return None
    try:
        owner = existing.stat().st_uid
    except FileNotFoundError:
        owner = 0
    if owner != 0:
        group = existing.stat().st_gid
        try:
            return Account(pwd.getpwuid(owner).pw_name, owner, group)
        except KeyError:
            return Account(str(owner), owner, group)
    for name in _PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerException(
        f"Started as root, and this machine has none of the users {', '.join(_PREFERRED)} to run the embedded servers "
        "as: start it as a normal user."
    )


def open_search_path(folder: Path, account: Account, say: Callable[[str], None]) -> None:
    """Let the account reach a folder: give others the search permission (o+x), never more, where it is missing.

    Each folder that is changed is said. The folder and what is above it have to be real ones (`Path.resolve`).

    Raises EmbeddedServerException where a folder cannot be opened this way.
    """
    for step in reversed((folder, *folder.parents)):
        found = step.stat()
        if _may_search(found, account):
            continue
        if account.uid == found.st_uid or account.gid == found.st_gid:
            # Of owner, group and others only the first that fits counts, so o+x would not help.
            raise EmbeddedServerException(f"{step} keeps its own owner or group {account.name} out: chmod u+x,g+x it.")
        try:
            step.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)
        except OSError as refused:
            raise EmbeddedServerException(
                f"User {account.name} may not search {step}, and it cannot be opened: {refused.strerror}."
            ) from None
        say(f"Opened {step} to search (chmod o+x), so that user {account.name} can reach {folder}.")


def _may_search(found: os.stat_result, account: Account) -> bool:
    if account.uid == found.st_uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if account.gid == found.st_gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)
