import asyncio

import pytest

from gradient_operator.kube.backoff import Backoff
from gradient_operator.kube.errors import NotFound, TooManyRequests
from gradient_operator.kube.limits import TokenBucket


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def passing(bucket: TokenBucket) -> int:
    count = 0
    while bucket.try_take():
        count += 1
    return count


def test_a_burst_passes_and_then_the_rate(clock):
    bucket = TokenBucket(rate=10, burst=5, clock=clock)
    assert passing(bucket) == 5
    clock.now = 0.3
    assert passing(bucket) == 3
    clock.now = 100
    assert passing(bucket) == 5


@pytest.mark.looptime
async def test_waiting_callers_pass_in_their_order_and_at_the_rate():
    loop = asyncio.get_running_loop()
    bucket = TokenBucket(rate=10, burst=1, clock=loop.time)
    passed = []
    began = loop.time()

    async def caller(number: int) -> None:
        await bucket.take()
        passed.append(number)

    await asyncio.gather(*(caller(number) for number in range(21)))
    assert passed == list(range(21))
    assert loop.time() - began == pytest.approx(2.0, abs=0.1)


async def test_a_caller_that_is_cancelled_takes_no_token_and_holds_up_nobody(clock):
    bucket = TokenBucket(rate=1, burst=1, clock=clock)
    await bucket.take()
    first, second = (asyncio.create_task(bucket.take()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    clock.now = 1.0
    await asyncio.wait_for(second, 30)
    assert not bucket.try_take()


async def test_the_rate_halves_when_the_server_is_busy_and_grows_back(clock):
    bucket = TokenBucket(rate=400, burst=800, clock=clock)
    for expected in (200, 100, 50):
        with pytest.raises(TooManyRequests):
            async with bucket.request():
                raise TooManyRequests("busy")
        assert bucket.rate == expected
        clock.now += 10
    for _ in range(300):
        async with bucket.request():
            clock.now += 1
    assert bucket.rate == 400


async def test_another_error_says_nothing_about_the_load(clock):
    bucket = TokenBucket(rate=400, burst=800, clock=clock)
    with pytest.raises(NotFound):
        async with bucket.request():
            raise NotFound("gone")
    assert bucket.rate == 400


def test_the_rate_never_becomes_nothing(clock):
    bucket = TokenBucket(rate=400, burst=1, clock=clock)
    for _ in range(50):
        bucket.throttled()
    assert bucket.rate == 8


def test_nothing_passes_before_the_server_wants_it(clock):
    bucket = TokenBucket(rate=400, burst=800, clock=clock)
    bucket.throttled(retry_after=3)
    clock.now = 2.9
    assert not bucket.try_take()
    clock.now = 3.0
    assert bucket.try_take()


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0)])
def test_a_bucket_that_lets_nothing_pass_is_refused(rate, burst):
    with pytest.raises(ValueError, match="must be above 0"):
        TokenBucket(rate=rate, burst=burst)


def test_delays_double_up_to_the_cap_and_begin_again_after_a_reset():
    backoff = Backoff(first=1, most=10)
    delays = [backoff.next() for _ in range(100)]
    for delay, full in zip(delays, [1, 2, 4, 8] + [10] * 96, strict=True):
        assert full / 2 <= delay <= full
    assert len(set(delays)) > 50  # jittered: a fleet does not come back in step
    backoff.reset()
    assert backoff.next() <= 1
