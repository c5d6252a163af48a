"""What all tests need."""

import asyncio

# pytest-asyncio asks for the thread's event loop before its first test; Python 3.11 then makes one
# that nobody closes, unless somebody has said that there is none.
asyncio.set_event_loop(None)


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden/*.pods.yaml anew"
    )
