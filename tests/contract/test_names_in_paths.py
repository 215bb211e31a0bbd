"""A schedule's name in a path: any text that may be one, and nothing else."""

import json
from urllib.parse import quote

import httpx
import pytest

from app.api.edge import MAX_BODY_BYTES
from tests.contract.calls import SCHEDULES, UNKNOWN_ID, Records, apply, by_name, cron, fields_of
from tests.contract.test_wire_level import connect

NAMES = [
    "nightly",
    "x",
    "x" * 255,
    "ü" * 255,
    "𝔘" * 255,
    "team/reports/nightly",
    "/",
    "//a//",
    "a/",
    "dots.and..more...",
    "a/./b/../c",
    " leading and trailing ",
    "Überstunden, täglich",
    "what?",
    "50%",
    "%2F",
    "%",
    "a+b",
    "a#b;c=d&e",
    "line\nfeed",
    "\n",
    "a\n",
    "tab\tand\x01",
    "\ufffd",
    "quote'\"\\",
    "batch",
    "preview",
    "workflow/" + UNKNOWN_ID,
    f"{UNKNOWN_ID}/pause",
    "by-name/",
    "schedules/by-name/a",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
async def test_any_text_is_a_name_in_the_path_as_in_a_body(client: httpx.AsyncClient, served: str, name: str) -> None:
    stored = await apply(client, name, 201)
    assert stored["name"] == name
    assert await apply(client, name, 200, name=name) == stored
    assert (await client.post(SCHEDULES, json=cron(name=name))).status_code == 409
    async with httpx.AsyncClient(base_url=served, headers=client.headers, trust_env=False) as caller:
        assert await apply(caller, name, 200) == stored
        fresh = await apply(caller, f"{name[:254]}²", 201)
    assert [each["name"] for each in (await client.get(SCHEDULES)).json()["items"]] == [name, fresh["name"]]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "at least 1 character"),
        ("x" * 256, "at most 255 characters"),
        (quote("ü" * 256), "at most 255 characters"),
        ("x" * 20_000, "at most 255 characters"),
        ("a%00b", "NUL"),
        ("%00", "NUL"),
        ("a%FF", "UTF-8"),
        ("%C3", "UTF-8"),
        ("%ED%A0%80", "UTF-8"),
        ("%C0%AF", "UTF-8"),
    ],
    ids=lambda value: value[:12],
)
async def test_what_can_be_no_name_is_refused_as_in_a_body(
    client: httpx.AsyncClient, served: str, records: Records, path: str, said: str
) -> None:
    before = await records()
    async with httpx.AsyncClient(base_url=served, headers=client.headers, trust_env=False) as caller:
        for each in (client, caller):
            answer = await each.put(f"{SCHEDULES}/by-name/{path}", json=cron())
            assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_SCHEDULE"), answer.text
            assert fields_of(answer.json()) == ["name"]
            assert said in answer.json()["detail"]
    assert await records() == before


async def test_a_slash_is_taken_encoded_or_not_and_a_question_mark_alone_begins_a_query(
    client: httpx.AsyncClient,
) -> None:
    stored = await apply(client, "a/b", 201)
    plain = await client.put(f"{SCHEDULES}/by-name/a/b", json=cron())
    assert (plain.status_code, plain.json()) == (200, stored)
    asked = await client.put(f"{SCHEDULES}/by-name/a/b?c=1", json=cron())
    assert (asked.status_code, fields_of(asked.json())) == (422, ["c"])


async def test_other_paths_are_what_they_were(client: httpx.AsyncClient) -> None:
    stored = await apply(client, "nightly", 201)
    path = f"{SCHEDULES}/{stored['schedule_id']}"
    assert (await client.get(path)).json() == stored
    assert (await client.put(path, json=cron(name="nightly"))).json() == stored
    workflow = await client.get(f"{SCHEDULES}/workflow/{stored['workflow_id']}")
    assert workflow.json()["items"] == [stored]
    for method in ("GET", "POST", "PATCH", "DELETE"):
        answer = await client.request(method, by_name("nightly"), json=cron())
        assert (answer.status_code, answer.headers["allow"]) == (405, "PUT")
    for unknown in (f"{SCHEDULES}/by-name", f"{SCHEDULES}/by-nameless/x", f"{path}%0A", f"{path}/by-name/x"):
        assert (await client.put(unknown, json=cron())).status_code == 404


async def test_no_name_makes_room_for_a_larger_body(client: httpx.AsyncClient, records: Records) -> None:
    before = await records()
    body = json.dumps(cron()).encode().ljust(MAX_BODY_BYTES + 1)
    headers = {"Content-Type": "application/json"}
    for name in ("nightly", "a/schedules/batch"):
        answer = await client.put(by_name(name), content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
        assert (await client.put(by_name(name), content=body[:-1], headers=headers)).status_code == 201
    assert (await records())["workflow_schedules"] == before["workflow_schedules"] + 2


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (b"/..", ".."),
        (b"/%2E%2E", ".."),
        (b"/a/../../b", "a/../../b"),
        (b"/a%2fb%2Fc", "a/b/c"),
        (b"/%2541", "%41"),
        (b"/a+b;c,d=e&f", "a+b;c,d=e&f"),
        (b"/what%3F?", "what?"),
        (b"/%C3%BC", "ü"),
        (b"/\xc3\xbc", None),
        (b"/\xff", None),
        (b"/a%0D%0AX:%20y", "a\r\nX: y"),
        (b"/%", "%"),
        (b"/%zz", "%zz"),
    ],
)
async def test_a_path_is_taken_as_it_comes_over_the_wire(
    client: httpx.AsyncClient, served: str, target: bytes, name: str | None
) -> None:
    body = json.dumps(cron()).encode()
    key = client.headers["authorization"].encode()
    for path in (f"{SCHEDULES}/by-name".encode(), f"{served}{SCHEDULES}/by-name".encode()):
        reader, writer = await connect(served)
        head = (
            b"PUT %b%b HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % (path, target, key, len(body))
        )
        writer.write(head + body)
        answer = await reader.read()
        writer.close()
        status, shown = int(answer[9:12]), json.loads(answer.partition(b"\r\n\r\n")[2])
        assert (shown["status"], status) == (400, 400) if name is None else shown["name"] == name
    listed = (await client.get(SCHEDULES)).json()["items"]
    assert [(each["name"], each["revision"]) for each in listed] == ([] if name is None else [(name, 1)])
