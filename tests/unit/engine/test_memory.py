"""How the memory of a job grows from attempt to attempt."""

import pytest

from gradient_operator.api.policy import OutOfMemoryPolicy
from gradient_operator.engine.memory import grown, in_bytes, larger


@pytest.mark.parametrize(
    ("rules", "machine", "failures", "memory"),
    [
        ({}, "2Gi", 1, "4096Mi"),
        ({}, "2Gi", 3, "16384Mi"),
        ({"factor": 1.5}, "1Gi", 1, "1536Mi"),
        ({"factor": 1.1}, "100Mi", 2, "121Mi"),
        ({}, "1G", 1, "1908Mi"),
        ({"max_memory": "3Gi"}, "2Gi", 1, "3072Mi"),
        ({"max_memory": "3Gi"}, "2Gi", 2, None),
        ({"max_memory": "1Gi"}, "2Gi", 1, None),
        ({}, None, 1, None),
    ],
)
def test_the_memory_of_the_next_attempt(rules, machine, failures, memory):
    rules = OutOfMemoryPolicy(retries=9, **rules)
    assert grown(rules, machine=machine, failures=failures) == memory


def test_of_two_quantities_the_larger_counts_in_its_own_words():
    assert larger("4096Mi", "4Gi") == "4096Mi"
    assert larger("4096Mi", "5G") == "5G"
    assert larger(None, "1Gi") == "1Gi"
    assert larger("1Gi", None) == "1Gi"


def test_quantities_are_read_as_kubernetes_reads_them():
    sizes = {"1": 1, "2k": 2_000, "1.5Ki": 1_536, "1Ti": 1024**4, "3T": 3 * 10**12}
    assert {text: int(in_bytes(text)) for text in sizes} == sizes
    with pytest.raises(ValueError, match="write it as 8Gi"):
        in_bytes("8 GB")
