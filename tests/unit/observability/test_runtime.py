import asyncio
import contextlib
import gc

import pytest

from gradient_operator.observability.metrics import Metrics
from gradient_operator.observability.runtime import (
    INTERVAL,
    THRESHOLDS,
    LoopLag,
    describe_build,
    freeze_heap,
    observe_gc,
    tune_gc,
)


@pytest.mark.looptime
async def test_a_loop_that_was_late_is_remembered_for_a_while():
    loop = asyncio.get_running_loop()
    stall = [0.0]
    metrics = Metrics()
    lag = LoopLag(metrics, clock=lambda: loop.time() + stall[0])
    sampling = asyncio.create_task(lag.run())
    await asyncio.sleep(1)
    assert lag.worst() == pytest.approx(0, abs=0.01)

    stall[0] += 3.0  # something computed for three seconds
    await asyncio.sleep(1)
    assert lag.worst() == pytest.approx(3.0, abs=INTERVAL)
    await asyncio.sleep(20)
    assert lag.worst() == pytest.approx(0, abs=0.01)
    value = metrics.registry.get_sample_value("gradient_operator_event_loop_lag_seconds")
    assert value == pytest.approx(0, abs=0.01)
    sampling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sampling


def test_a_lag_that_still_goes_on_counts():
    now = [0.0]
    lag = LoopLag(clock=lambda: now[0])
    now[0] = 7.0
    assert lag.worst() == pytest.approx(7.0 - INTERVAL)


@pytest.fixture
def collector():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_the_collector_is_told_to_rest(collector):
    tune_gc()
    assert gc.get_threshold() == THRESHOLDS
    freeze_heap()
    assert gc.get_freeze_count() > 0


def test_pauses_of_the_collector_are_measured(collector):
    metrics = Metrics()
    end = observe_gc(metrics)
    gc.collect()
    end()
    count = "gradient_operator_gc_pause_seconds_count"
    value = metrics.registry.get_sample_value(count, {"generation": "2"})
    gc.collect()
    assert value >= 1
    assert metrics.registry.get_sample_value(count, {"generation": "2"}) == value


def test_the_build_is_described():
    metrics = Metrics()
    describe_build(metrics)
    (family,) = metrics.build_info.collect()
    assert family.samples[0].labels["version"]
    assert family.samples[0].value == 1
