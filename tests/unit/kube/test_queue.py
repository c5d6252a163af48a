import asyncio

import pytest
from prometheus_client import generate_latest

from gradient_operator.kube.queue import KeyedQueue, QueueClosed
from gradient_operator.observability.metrics import Metrics


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(clock):
    return KeyedQueue(clock=clock)


async def take_all(queue: KeyedQueue) -> list:
    taken = []
    while queue.depth:
        taken.append(await queue.get())
        queue.done(taken[-1])
    return taken


async def test_a_key_that_waits_is_one_entry(queue):
    for key in "abab":
        queue.add(key)
    assert queue.depth == 2
    assert await take_all(queue) == ["a", "b"]


async def test_a_key_that_is_added_while_it_is_worked_on_comes_again_after_done(queue):
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("a")
    assert queue.depth == 0
    queue.done("a")
    assert await take_all(queue) == ["a"]


async def test_an_urgent_key_overtakes(queue):
    for key in "abc":
        queue.add(key)
    queue.add("now", urgent=True)
    queue.add("c", urgent=True)
    assert await take_all(queue) == ["now", "c", "a", "b"]


async def test_a_key_stays_urgent_while_it_waits_for_done(queue):
    queue.add("a")
    await queue.get()
    queue.add("a", urgent=True)
    queue.add("b")
    queue.add("a")
    queue.done("a")
    assert await take_all(queue) == ["a", "b"]


async def test_urgent_keys_do_not_starve_the_others(queue):
    queue.add("bulk")
    for number in range(20):
        queue.add(number, urgent=True)
    assert "bulk" in (await take_all(queue))[:8]


async def test_getters_are_woken_one_per_key(queue):
    getters = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.add("a")
    queue.add("b")
    done, waiting = await asyncio.wait(getters, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0)
    assert {getter.result() for getter in getters if getter.done()} == {"a", "b"}
    assert sum(not getter.done() for getter in getters) == 1
    queue.close()
    with pytest.raises(QueueClosed):
        await next(getter for getter in getters if getter in waiting and getter not in done)


async def test_a_cancelled_getter_leaves_its_turn_to_the_next(queue):
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(0)
    queue.add("a")  # wakes the first, which is cancelled before it can run
    first.cancel()
    assert await asyncio.wait_for(second, 5) == "a"


async def test_a_cancelled_getter_that_nobody_woke_is_forgotten(queue):
    first = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await asyncio.wait_for(second, 5) == "a"


async def test_a_closed_queue_ends_its_workers_and_takes_nothing(queue):
    queue.add("a")
    queue.add_after("b", 0.001)
    queue.close()
    queue.add("c")
    queue.add_after("d", 1)
    with pytest.raises(QueueClosed):
        await queue.get()


async def test_done_without_get_is_a_fault_of_the_caller(queue):
    with pytest.raises(ValueError, match="not being worked on"):
        queue.done("a")


async def test_a_delayed_key_comes_in_its_time_and_the_earliest_wish_counts():
    loop = asyncio.get_running_loop()
    queue = KeyedQueue(clock=loop.time)
    queue.add_after("late", 0.05)
    queue.add_after("early", 3_600)
    queue.add_after("early", 0.01)
    queue.add_after("early", 7_200)
    queue.add_after("at once", 0)
    assert [await queue.get() for _ in range(3)] == ["at once", "early", "late"]
    for key in ("at once", "early", "late"):
        queue.done(key)
    assert queue.depth == 0
    queue.close()


@pytest.mark.looptime
async def test_a_wish_unless_sooner_is_forgotten_once_a_look_has_begun():
    loop = asyncio.get_running_loop()
    queue = KeyedQueue(clock=loop.time)
    queue.add_after("a", 1, unless_sooner=True)
    queue.add_after("a", 5)
    queue.add("a")
    assert await queue.get() == "a"
    assert queue.delayed == 1
    queue.add_after("a", 2, unless_sooner=True)  # what this look may have missed
    queue.done("a")
    times = []
    for _ in range(2):
        queue.done(await queue.get())
        times.append(loop.time())
    assert [time - times[0] for time in times] == [0, pytest.approx(3)]
    queue.close()


async def test_failures_of_a_key_wait_longer_each_time_until_they_are_forgotten():
    delays = []

    class Watched(KeyedQueue):
        def add_after(self, key, seconds):
            delays.append(seconds)

    queue = Watched(first_delay=1, longest_delay=10)
    for _ in range(6):
        queue.add_rate_limited("a")
    queue.add_rate_limited("b")
    queue.forget("a")
    queue.add_rate_limited("a")
    assert delays == [1, 2, 4, 8, 10, 10, 1, 1]


async def test_a_key_that_fails_for_ever_waits_no_longer_than_the_longest_delay():
    queue = KeyedQueue(longest_delay=0.001)
    for _ in range(2_000):
        queue.add_rate_limited("a")
    assert await asyncio.wait_for(queue.get(), 5) == "a"
    queue.close()


async def test_the_age_is_that_of_the_longest_waiting_key(queue, clock):
    assert queue.oldest_age() == 0
    queue.add("a")
    clock.now = 3
    queue.add("b")
    queue.add("a")
    assert queue.oldest_age() == 3
    assert await queue.get() == "a"
    assert queue.oldest_age() == 0
    queue.add("a")  # has to wait for the worker
    clock.now = 7
    assert queue.oldest_age() == 4


async def test_a_busy_queue_shows_in_the_metrics(clock):
    metrics = Metrics()
    queue = KeyedQueue(name="runs", metrics=metrics, clock=clock)
    queue.add("a")
    queue.add("b")
    clock.now = 2
    await queue.get()
    clock.now = 5
    text = generate_latest(metrics.registry).decode()
    prefix = "gradient_operator_workqueue_"
    for line in (
        f'{prefix}depth{{name="runs"}} 1.0',
        f'{prefix}adds_total{{name="runs"}} 2.0',
        f'{prefix}oldest_key_age_seconds{{name="runs"}} 5.0',
        f'{prefix}longest_running_processor_seconds{{name="runs"}} 3.0',
        f'{prefix}unfinished_work_seconds{{name="runs"}} 3.0',
        f'{prefix}queue_duration_seconds_sum{{name="runs"}} 2.0',
    ):
        assert line in text
    queue.done("a")
    queue.add_rate_limited("a")
    text = generate_latest(metrics.registry).decode()
    assert f'{prefix}work_duration_seconds_sum{{name="runs"}} 3.0' in text
    assert f'{prefix}retries_total{{name="runs"}} 1.0' in text
    queue.close()


async def test_what_comes_first_overtakes_the_urgent_and_is_handed_out_once(queue):
    for key in ("a", "b", "c"):
        queue.add(key, urgent=True)
    queue.add("bulk")
    queue.add("c", urgent=True, first=True)
    queue.add("d", urgent=True, first=True)
    assert await take_all(queue) == ["d", "c", "a", "b", "bulk"]
