import io
import json
import logging
import threading

import pytest

from gradient_operator.observability import logs as module
from gradient_operator.observability.logs import configure_logging
from gradient_operator.observability.metrics import Metrics


@pytest.fixture
def restored():
    root = logging.getLogger()
    level = root.level
    levels = {name: logging.getLogger(name).level for name in module.QUIET}
    yield
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def pipe(restored):
    stream = io.StringIO()
    made = configure_logging("info", stream=stream)
    yield made, stream
    made.close()


def test_a_record_is_one_line_of_json(pipe):
    made, stream = pipe
    logging.getLogger("a.b").warning("job %s failed", "train", extra={"run": "r-1", "level": "x"})
    made.close()
    (line,) = lines(stream)
    assert line.pop("ts")[-1] == "Z"
    assert line == {
        "level": "warning",
        "logger": "a.b",
        "msg": "job train failed",
        "run": "r-1",
    }


def test_an_exception_stays_on_its_line(pipe):
    made, stream = pipe
    try:
        raise ValueError("with\nlines")
    except ValueError:
        logging.getLogger("a").exception("failed")
    made.close()
    (line,) = lines(stream)
    assert line["msg"] == "failed"
    assert line["error"].startswith("Traceback")
    assert line["error"].endswith("ValueError: with\nlines")


def test_values_are_those_of_the_moment_and_need_not_be_json(pipe):
    made, stream = pipe
    value = ["then"]
    logging.getLogger("a").info("%s", value, extra={"object": object, "name_": {1}})
    value[0] = "now"
    made.close()
    (line,) = lines(stream)
    assert line["msg"] == "['then']"
    assert line["name_"] == "{1}"


def test_what_is_below_the_level_and_the_chatter_of_kopf_is_left_out(pipe):
    made, stream = pipe
    logging.getLogger("a").debug("too fine")
    logging.getLogger("kopf.objects").info("handler succeeded")
    logging.getLogger("kopf.objects").warning("handler failed")
    made.close()
    assert [line["msg"] for line in lines(stream)] == ["handler failed"]


class Stuck(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.writing = threading.Event()
        self.released = threading.Event()

    def write(self, text: str) -> int:
        self.writing.set()
        self.released.wait(30)
        return super().write(text)


def test_a_stuck_reader_stalls_nobody_and_what_is_lost_is_counted(restored, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    metrics, stream = Metrics(), Stuck()
    pipe = configure_logging(stream=stream, metrics=metrics)
    logger = logging.getLogger("a")
    logger.info("first")
    stream.writing.wait(30)
    for number in range(15):
        logger.info("%d", number)
    name = "gradient_operator_log_records_dropped_total"
    assert metrics.registry.get_sample_value(name) == 5
    stream.released.set()
    pipe.close()
    assert [line["msg"] for line in lines(stream)] == ["first", *map(str, range(10))]


def test_a_reader_that_stays_stuck_does_not_hold_up_the_end(restored, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 1)
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    stream = Stuck()
    pipe = configure_logging(stream=stream)
    logging.getLogger("a").info("first")
    stream.writing.wait(30)
    logging.getLogger("a").info("second")
    pipe.close()
    assert stream.getvalue() == ""
    stream.released.set()


def test_a_reader_that_went_away_does_not_end_the_program(restored):
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    pipe = configure_logging(stream=Broken())
    logging.getLogger("a").info("lost")
    logging.getLogger("a").info("lost too")
    pipe.close()
    assert not pipe._writer.is_alive()
