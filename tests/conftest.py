"""What all tests need."""

import asyncio

import pytest
from hypothesis import HealthCheck, settings

# pytest-asyncio asks for the thread's event loop before its first test; Python 3.11 then makes one
# that nobody closes, unless somebody has said that there is none.
asyncio.set_event_loop(None)

# How long an example takes says nothing of the code where other work keeps the machine busy.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden/*.pods.yaml anew"
    )


@pytest.hookimpl(optionalhook=True)  # pytest-xdist may be switched off
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of one cluster, a folder, in one process; other modules go to any."""
    from xdist.scheduler import LoadScopeScheduling

    class OneProcessForEachCluster(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            module = nodeid.partition("::")[0]
            folder = "/".join(module.split("/")[:2])
            return folder if folder in {"tests/integration", "tests/e2e"} else module

    return OneProcessForEachCluster(config, log)
