"""The queue against a model: a key is never handed out twice at once, and no wish is lost."""

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gradient_operator.kube.queue import KeyedQueue

KEYS = st.integers(min_value=0, max_value=5)


class QueueMachine(RuleBasedStateMachine):
    """The model: keys that are owed a look, keys at work, keys due later."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = 0.0
        self.queue: KeyedQueue[int] = KeyedQueue(clock=lambda: self.now)
        self.owed: set[int] = set()
        self.working: set[int] = set()
        self.due: dict[int, float] = {}
        self.getters: list[asyncio.Task[int]] = []

    def teardown(self) -> None:
        async def end() -> None:
            self.queue.close()
            await asyncio.gather(*self.getters, return_exceptions=True)

        self.loop.run_until_complete(end())
        self.loop.close()

    def act(self, call, *args, **options) -> None:
        async def inside() -> None:
            call(*args, **options)
            for _ in range(3):
                await asyncio.sleep(0)

        self.loop.run_until_complete(inside())
        self.collect()

    def collect(self) -> None:
        for getter in [getter for getter in self.getters if getter.done()]:
            self.getters.remove(getter)
            key = getter.result()
            assert key not in self.working, "handed out twice at once"
            assert key in self.owed, "handed out although nobody asked"
            self.owed.discard(key)
            self.working.add(key)

    @rule(key=KEYS, urgent=st.booleans())
    def add(self, key: int, urgent: bool) -> None:  # noqa: FBT001 - drawn by name
        self.owed.add(key)
        self.act(self.queue.add, key, urgent=urgent)

    @rule(key=KEYS, seconds=st.integers(min_value=1, max_value=20))
    def add_after(self, key: int, seconds: int) -> None:
        self.due[key] = min(self.due.get(key, float("inf")), self.now + seconds)
        self.act(self.queue.add_after, key, seconds)

    @rule(seconds=st.integers(min_value=1, max_value=10))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        ripe = {key for key, due in self.due.items() if due <= self.now}
        self.owed |= ripe
        for key in ripe:
            del self.due[key]
        self.act(self.queue._ripen)

    @rule()
    def a_worker_asks(self) -> None:
        self.getters.append(self.loop.create_task(self.queue.get()))
        self.act(lambda: None)

    @precondition(lambda self: self.getters)
    @rule(data=st.data(), before=st.booleans(), key=KEYS)
    def a_worker_is_cancelled(self, data, before: bool, key: int) -> None:  # noqa: FBT001
        """Also in the instant in which it has been woken but has not run yet."""
        getter = data.draw(st.sampled_from(self.getters))

        def cancel() -> None:
            if before:
                self.owed.add(key)
                self.queue.add(key)
            getter.cancel()

        self.getters.remove(getter)
        self.act(cancel)
        assert getter.cancelled()

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def a_worker_is_done(self, data) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        self.working.discard(key)
        self.act(self.queue.done, key)

    @invariant()
    def nothing_is_lost_and_nobody_waits_in_vain(self) -> None:
        ready = self.owed - self.working
        assert self.queue.depth == len(ready)
        assert not (ready and self.getters), "a key and a worker wait for each other"
        assert bool(self.owed) == (self.queue.oldest_age() > 0 or bool(self.queue._since))


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
