"""Bodies are JSON as Python's own encoder writes it, whatever text is in them."""

import json

import pytest

from gradient_operator.api.names import API_VERSION
from gradient_operator.engine.model import JobPhase
from gradient_operator.kube.codec import encode


@pytest.mark.parametrize(
    "body",
    [
        {"apiVersion": API_VERSION, "metadata": {"finalizers": None, "labels": {}}},
        {"phase": JobPhase.RUNNING, "exitCode": 137, "seconds": 0.25, "bytes": 10**18},
        {"items": ("a", ["b"], True)},
        {"message": 'sea \u2028 ü \U0001f30a \x00 \\ "'},
        {"message": "a name that is no UTF-8: \udcff"},
    ],
)
def test_what_is_encoded_is_read_back(body):
    assert json.loads(encode(body)) == json.loads(json.dumps(body))
