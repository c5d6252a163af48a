"""What all tests need."""

import asyncio

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
