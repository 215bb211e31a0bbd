from collections.abc import AsyncIterator

import pytest

from tests.chaos.cluster import Cluster, cluster_on


@pytest.fixture
async def cluster(database_url: str, redis_url: str) -> AsyncIterator[Cluster]:
    """Real servers and real time; the test starts workers and ends them as it likes."""
    async with cluster_on(database_url, redis_url) as cluster:
        yield cluster
