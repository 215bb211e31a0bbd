"""Which URLs can be those of a Postgres, a Redis or an HTTP server."""

import pytest

from app.core.server_urls import check_http_url, check_postgres_url, check_redis_url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h",
        "postgres://user:pass%2Fword@h:5432/db?sslmode=require&application_name=x",
        "postgresql://user@[::1]:5432/db",
        "postgresql://user@[::1]/db",
        "postgresql://user:p:p@one:5432,two:5433,three/db?target_session_attrs=read-write",
        "postgresql://%2Frun%2Fpostgresql/db",
        "postgresql://user@/db",
        "postgresql:///db?host=/run/postgresql&port=5433",
        "postgresql:///db?host=one,two&port=1,65535",
        "postgresql://h:/db",
        "postgresql://one,two/db?target_session_attrs=prefer-standby",
    ],
)
def test_what_asyncpg_reads_is_let_by(url: str) -> None:
    check_postgres_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://h",
        "redis://:pass%40word@h:6379/15",
        "redis://:p@ss@h/",
        "rediss://user:word@[::1]:6380/0?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=1",
        "unix://user:word@/run/redis:1.sock",
    ],
)
def test_what_redis_py_reads_is_let_by(url: str) -> None:
    check_redis_url(url)


@pytest.mark.parametrize("port", ["port", "0", "-1", "+5", "65536", "99999", "6.5", "5432x", "1_0", "٣", ":1"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    for host in ("h", "[::1]"):
        with pytest.raises(ValueError, match="port must be a number from 1 to 65535"):
            check_redis_url(f"redis://:hunter2@{host}:{port}/0")
        for hosts in (f"{host}:{port}", f"one:5432,{host}:{port}"):
            with pytest.raises(ValueError, match="port must be a number from 1 to 65535"):
                check_postgres_url(f"postgresql://user:hunter2@{hosts}/db")
    for query in (f"host=h:{port}", f"host=h&port={port}", f"port=5432,{port}"):
        with pytest.raises(ValueError, match="port must be a number from 1 to 65535"):
            check_postgres_url(f"postgresql:///db?{query.replace('+', '%2B')}")


@pytest.mark.parametrize("password", ["hunter/2", "hunter?2", "hunter#2", "hunter 2", "hunter\n2", "hunter[2", "12#4"])
def test_a_password_that_is_not_encoded_is_refused_with_what_is_right_and_not_shown(password: str) -> None:
    for check, scheme in ((check_postgres_url, "postgresql"), (check_redis_url, "redis")):
        with pytest.raises(ValueError, match=r"is written %\.\.") as refused:
            check(f"{scheme}://user:{password}@h/0")
        assert "hunter" not in str(refused.value)
        assert refused.value.__cause__ is None


@pytest.mark.parametrize("password", ["hunter/2", "hunter?2", "hunter#2", "hunter[2", "hunter\uff03", "hunter:2"])
def test_nor_is_it_shown_where_none_may_be(password: str) -> None:
    with pytest.raises(ValueError, match=r"^must ") as refused:
        check_http_url(f"https://user:{password}@h/", like="https://host")
    assert "hunter" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_asyncpg_ends_the_password_at_the_first_at_sign() -> None:
    with pytest.raises(ValueError, match="its host must hold no @"):
        check_postgres_url("postgresql://user:hunter@2@h/db")


@pytest.mark.parametrize("url", ["postgresql://one,,two/db", "postgresql://one,/db", "postgresql:///db?host=,one"])
def test_a_list_of_hosts_has_no_gap(url: str) -> None:
    with pytest.raises(ValueError, match="a host is missing"):
        check_postgres_url(url)


@pytest.mark.parametrize("session", ["", "master", "read_write", "Primary"])
def test_what_kind_of_server_is_wanted_is_one_of_a_few(session: str) -> None:
    with pytest.raises(ValueError, match="its target_session_attrs must be one of any, primary, standby, read-write"):
        check_postgres_url(f"postgresql://one,two/db?target_session_attrs={session}")


@pytest.mark.parametrize("name", ["decode_responses", "encoding", "max_connections", "retry", "redis_connect_func"])
@pytest.mark.parametrize("server", ["redis://h:6379/0", "unix:///run/redis.sock"])
def test_what_the_service_needs_of_its_client_is_not_changed_by_a_query(server: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"its query must not hold {name}"):
        check_redis_url(f"{server}?client_name=x&{name}=")


@pytest.mark.parametrize("path", ["/zero", "/-1", "/0x", "/1/x"])
def test_a_database_of_redis_is_a_number(path: str) -> None:
    with pytest.raises(ValueError, match="number of a database"):
        check_redis_url(f"redis://h{path}")
