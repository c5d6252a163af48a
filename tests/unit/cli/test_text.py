import pytest

from gradient_operator.cli.output.text import ago, duration, one_line, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (-3, "0s"),
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (65, "1m 05s"),
        (3599.6, "1h 00m"),
        (7380, "2h 03m"),
        (86400 * 3 + 3600 * 4, "3d 04h"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, ""),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536 * 1024, "1.5 MiB"),
        (2**62, "4096.0 PiB"),
    ],
)
def test_size(count, text):
    assert size(count) == text


def test_ago():
    assert ago(100, 165) == "1m 05s ago"
    assert ago(None, 165) == ""


def test_one_line_is_the_first_that_says_something():
    assert one_line("\n  \n two\nthree") == "two"
    assert one_line("") == ""
