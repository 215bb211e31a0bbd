"""A worker that comes up in the middle of an outage waits like any other: it neither exits nor needs a restart."""

from urllib.parse import urlsplit

import pytest

from tests.chaos.cluster import Cluster
from tests.chaos.proxy import Proxy
from tests.chaos.stack import through
from tests.chaos.test_cluster import one_time


@pytest.mark.fault("11")
@pytest.mark.parametrize("asked", [b"alembic_version", b"clock_timestamp()", b"INTO workers"])
async def test_a_worker_whose_postgres_goes_away_while_it_starts_comes_up_all_the_same(
    cluster: Cluster, asked: bytes
) -> None:
    port = urlsplit(cluster.database_url).port
    assert port is not None
    async with Proxy(port) as proxy:
        proxy.lose_answers(asked, 3)
        async with cluster.workers(1, DATABASE_URL=through(cluster.database_url, proxy)) as (worker,):
            assert proxy.answers_lost == 3
            await cluster.create(one_time(1, in_seconds=1))
            await cluster.received(1)
            assert worker.returncode is None
