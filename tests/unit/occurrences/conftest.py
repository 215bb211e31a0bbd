"""How long Hypothesis searches: `default` in every run, `deep` (more than 100 000 examples) by `HYPOTHESIS_PROFILE`."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from .brute_force import DEEP, DEEP_FACTOR

_QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much]

# Each test sets its number by what one example costs it (`brute_force.examples`); these are for one that does not.
settings.register_profile("default", deadline=None, suppress_health_check=_QUIET)
settings.register_profile("deep", deadline=None, max_examples=100 * DEEP_FACTOR, suppress_health_check=_QUIET)
settings.load_profile("deep" if DEEP else "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In a deep run a test may take minutes."""
    for item in items:
        if DEEP and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(0))
