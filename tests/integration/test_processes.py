"""The commands as an operator runs them: migrate, keys, api, worker, rebuild, and what they show of themselves."""

import asyncio
import json
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx

from app.core.sealing import SecretBox, key_id
from app.core.target import bound_to
from app.embedded.ports import free_port
from app.store.schema import newest
from tests.integration.operating import Operator
from tests.processes import CHECKOUT, Script

WORKFLOW_ID = "8f14e45f-ceea-467f-a8d2-7b9e2c1d3a4b"


async def test_from_an_empty_database_to_a_delivery_and_its_metrics(operator: Operator) -> None:
    status, _, said = await operator.run("migrate", "--check")
    assert (status, "migrations are missing: 0001" in said) == (1, True)
    status, _, said = await operator.run("worker")
    assert status == 1
    assert said == "schedule-service: the database has an older schema: run `schedule-service migrate` first\n"
    assert (await operator.run("migrate"))[0] == 0
    assert (await operator.run("migrate"))[0] == 0
    assert (await operator.run("migrate", "--check"))[0] == 0

    status, key, _ = await operator.run("keys", "create", "--community", "7", "--role", "editor", "--user", "ada")
    assert (status, key.count("\n")) == (0, 1)
    key = key.strip()

    port, metrics_port = free_port(), free_port()
    api, worker = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}"
    async with (
        operator.running("api", "--port", str(port), at=api) as api_process,
        operator.running("worker", "--metrics-port", str(metrics_port), at=worker) as worker_process,
        httpx.AsyncClient(headers={"X-API-Key": key}) as client,
    ):
        for taken, command in ((port, ("api", "--port")), (metrics_port, ("worker", "--metrics-port"))):
            host = "127.0.0.1" if taken == port else "0.0.0.0"
            said = f"schedule-service: cannot listen on {host}, port {taken}: port {taken} is taken\n"
            assert await operator.run(*command, str(taken)) == (1, "", said)

        due = datetime.now(UTC) + timedelta(seconds=1)
        body = {"workflow_id": WORKFLOW_ID, "schedule_type": "one_time", "scheduled_time": due.isoformat()}
        created = await client.post(f"{api}/api/v1/schedules", json=body)
        assert created.status_code == 201
        assert (created.json()["community_id"], created.json()["created_by"]) == (7, "ada")
        executions = f"{api}/api/v1/schedules/{created.json()['schedule_id']}/executions"
        async with asyncio.timeout(20):
            while not [one for one in (await client.get(executions)).json()["items"] if one["status"] == "succeeded"]:
                await asyncio.sleep(0.05)

        status, operating, _ = await operator.run("keys", "create", "--community", "7", "--role", "operator")
        tried = await client.post(
            f"{api}/api/v1/targets/test",
            json={"schedule_id": created.json()["schedule_id"]},
            headers={"X-API-Key": operating.strip()},
        )
        assert (status, tried.status_code) == (0, 200)
        assert tried.json()["meaning"] == "delivered"
        engine = operator.environment["WORKFLOW_ENGINE_URL"]
        assert tried.json()["request"]["url"] == f"{engine}/api/v1/workflows/{WORKFLOW_ID}/execute"

        of_worker = _samples((await client.get(f"{worker}/metrics")).text)
        assert of_worker["schedule_service_running"] == 1
        assert of_worker['schedule_service_executions_total{outcome="succeeded"}'] == 1
        assert of_worker["schedule_service_lateness_seconds_count"] == 1
        assert of_worker["schedule_service_claimed_entries_total"] >= 1
        assert of_worker["schedule_service_claimed_in_vain_total"] == 0
        assert of_worker["schedule_service_swept_entries_total"] == 0
        assert of_worker["schedule_service_postgres_up"] == of_worker["schedule_service_redis_up"] == 1
        for loop in ("beat", "advance", "window", "sweep", "bury", "reclaim", "retention"):
            assert of_worker[f'schedule_service_loop_age_seconds{{loop="{loop}"}}'] < 20
        of_api = _samples((await client.get(f"{api}/metrics")).text)
        assert of_api["schedule_service_running"] == of_api["schedule_service_live_workers"] == 1
        assert of_api["schedule_service_active_schedules"] == 0
        assert of_api["schedule_service_jobs"] == 0
        assert of_api["schedule_service_due_lag_seconds"] == 0
        assert of_api["schedule_service_postgres_up"] == of_api["schedule_service_redis_up"] == 1

        assert (await operator.run("rebuild"))[0] == 0
        assert (await operator.run("keys", "revoke", key.split("_")[1]))[0] == 0
        assert (await client.get(executions)).status_code == 401
        for process in (worker_process, api_process):
            process.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.process.wait(), 20) == 0


async def test_a_key_of_the_secrets_is_rotated(operator: Operator) -> None:
    assert (await operator.run("migrate"))[0] == 0
    old, new = "the older key which has more than 32 characters", "the newer key which has more than 32 characters"
    for command in (("reseal",), ("reseal", "--check")):
        status, _, said = await operator.run(*command)
        assert (status, said.startswith("schedule-service: SECRET_KEY is not set: ")) == (1, True)
    operator.environment["SECRET_KEY"] = new
    known, plain = (
        SecretBox.from_setting(key).seal("topsecret", bound_to("https://8.8.8.8/", "X")) for key in (old, "")
    )
    connection = await asyncpg.connect(operator.environment["DATABASE_URL"])
    for revision, sealed in enumerate((known, plain)):
        target = {"url": "https://8.8.8.8/", "headers": {"X": sealed.stored}}
        await connection.execute(
            "INSERT INTO schedule_revisions VALUES ($1, $2, 1, $3, now())",
            WORKFLOW_ID,
            revision,
            json.dumps({"target": target, "failure_target": None}),
        )

    status, said, why = await operator.run("reseal", "--check")
    assert status == 1
    assert said.splitlines() == [
        f"key {key_id(new.encode())}, the newest: 0 values",
        "stored without a key: 1 values",
        f"key {key_id(old.encode())}, which SECRET_KEY does not hold: 1 values",
    ]
    assert why.endswith(
        "schedule-service: 2 values are not sealed with the newest key; run `schedule-service reseal`\n"
    )
    status, said, _ = await operator.run("reseal")
    assert (status, said) == (1, "resealed 1 values, 1 could not be opened (their key is not in SECRET_KEY)\n")
    operator.environment["SECRET_KEY"] = f"{new},{old}"
    status, said, logged = await operator.run("reseal")
    assert (status, said) == (0, "resealed 1 values, 0 could not be opened (their key is not in SECRET_KEY)\n")
    assert '"event":"reseal"' in logged
    assert "topsecret" not in said + logged
    operator.environment["SECRET_KEY"] = new
    assert await operator.run("reseal", "--check") == (0, f"key {key_id(new.encode())}, the newest: 2 values\n", "")
    await connection.close()


async def test_a_log_that_cannot_be_written_stops_nothing(operator: Operator) -> None:
    assert (await operator.run("migrate"))[0] == 0
    port, metrics_port = free_port(), free_port()
    operator.environment["AUTH_MODE"] = "none"
    commands = [("api", "--port", str(port)), ("worker", "--metrics-port", str(metrics_port))]
    full, (gone, there) = os.open("/dev/full", os.O_WRONLY), os.pipe()
    os.close(gone)
    try:
        for errors in (full, there):
            running = [await _started(operator, *command, errors=errors) for command in commands]
            try:
                async with asyncio.timeout(60), httpx.AsyncClient() as client:
                    for process, ready_at in zip(running, (port, metrics_port), strict=True):
                        await Script(process, Path(os.devnull)).until_ready(f"http://127.0.0.1:{ready_at}")
                    due = datetime.now(UTC) + timedelta(seconds=1)
                    body = {"workflow_id": WORKFLOW_ID, "schedule_type": "one_time", "scheduled_time": due.isoformat()}
                    created = await client.post(f"http://127.0.0.1:{port}/api/v1/schedules", json=body)
                    assert created.status_code == 201
                    at = f"http://127.0.0.1:{port}/api/v1/schedules/{created.json()['schedule_id']}/executions"
                    while not [one for one in (await client.get(at)).json()["items"] if one["status"] == "succeeded"]:
                        await asyncio.sleep(0.05)
                for process in running:
                    process.send_signal(signal.SIGTERM)
                    assert await asyncio.wait_for(process.wait(), 30) == 0
            finally:
                for process in running:
                    if process.returncode is None:
                        process.kill()
                        await process.wait()
    finally:
        os.close(full)
        os.close(there)


async def test_a_command_whose_standard_files_are_closed_does_what_it_does(operator: Operator) -> None:
    command = f"{sys.executable} -m app.cli migrate <&- >&- 2>&-"
    process = await asyncio.create_subprocess_shell(command, cwd=CHECKOUT, env=os.environ | operator.environment)
    assert await process.wait() == 0
    assert (await operator.run("migrate", "--check"))[0] == 0


async def test_a_key_that_nobody_can_read_is_said_to_be_one(operator: Operator) -> None:
    assert (await operator.run("migrate"))[0] == 0
    command = f"{sys.executable} -m app.cli keys create --community 1 --role viewer >/dev/full"
    process = await asyncio.create_subprocess_shell(
        command, stderr=asyncio.subprocess.PIPE, cwd=CHECKOUT, env=os.environ | operator.environment
    )
    _, said = await process.communicate()
    _, listed, _ = await operator.run("keys", "list")
    prefix = listed.splitlines()[1].split()[1]
    assert process.returncode == 1
    why = "the key was made and cannot be printed (No space left on device)"
    assert said.decode().splitlines()[1:] == [f"schedule-service: {why}: revoke {prefix}, and make another"]


async def test_no_key_is_made_where_nobody_could_read_it(operator: Operator) -> None:
    assert (await operator.run("migrate"))[0] == 0
    command = f"{sys.executable} -m app.cli keys create --community 1 --role viewer >&-"
    process = await asyncio.create_subprocess_shell(
        command, stderr=asyncio.subprocess.PIPE, cwd=CHECKOUT, env=os.environ | operator.environment
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().splitlines() == [
        "schedule-service: standard output is closed: nobody would see the key, which is shown this once"
    ]
    _, listed, _ = await operator.run("keys", "list")
    assert len(listed.splitlines()) == 1, "the heads of the columns"


async def _started(operator: Operator, *command: str, errors: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", *command),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=errors,
        cwd=CHECKOUT,
        env=os.environ | operator.environment,
    )


async def test_a_worker_whose_postgres_takes_no_writes_says_so_and_comes_up_once_it_does(operator: Operator) -> None:
    assert (await operator.run("migrate"))[0] == 0
    given = operator.environment["DATABASE_URL"]
    database = urlsplit(given).path[1:]
    connection = await asyncpg.connect(given)
    await connection.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    errors, port = operator.folder / "worker", free_port()
    script = await Script.start(
        *("-m", "app.cli", "worker", "--metrics-port", str(port)), errors=errors, **operator.environment
    )
    try:
        async with asyncio.timeout(30):
            while '"event":"start_waits"' not in errors.read_text():
                assert script.process.returncode is None, errors.read_text()
                await asyncio.sleep(0.05)
        assert "in a read-only transaction" in errors.read_text()
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
        # As at the end of a failover: the sessions of before end.
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await script.until_ready(f"http://127.0.0.1:{port}")
    finally:
        await script.end()
        await connection.close()


_FIRST_OF_A_CONTAINER = """
import os, sys
os.getpid = lambda: 1
sys.argv[0] = "schedule-service"
from app.cli import main
main()
"""


async def test_sigterm_ends_the_first_process_of_a_container_that_waits_for_postgres(operator: Operator) -> None:
    errors = operator.folder / "first"
    away = {"DATABASE_URL": f"postgresql://user@127.0.0.1:{free_port()}/db?sslmode=disable"}
    script = await Script.start("-c", _FIRST_OF_A_CONTAINER, "worker", errors=errors, **operator.environment | away)
    async with asyncio.timeout(30):
        while '"event":"start_waits"' not in errors.read_text():
            assert script.process.returncode is None, errors.read_text()
            await asyncio.sleep(0.05)
        script.process.send_signal(signal.SIGTERM)
        # By itself: a signal that it does not handle would not reach it there.
        assert await script.process.wait() == 128 + signal.SIGTERM


async def test_a_later_schema_lets_an_older_release_start(operator: Operator) -> None:
    assert (await operator.run("migrate"))[0] == 0
    connection = await asyncpg.connect(operator.environment["DATABASE_URL"])
    await connection.execute("UPDATE alembic_version SET version_num = '0099'")
    await connection.close()
    for command in (("migrate",), ("migrate", "--check")):
        status, said, error = await operator.run(*command)
        assert (status, error) == (0, "")
        assert said == f"The schema (0099) is newer than this code ({newest()}), which runs on it.\n"


def _samples(text: str) -> dict[str, float]:
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}
