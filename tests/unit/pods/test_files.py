"""The files of tests/golden, one for each construct of the format, come to the Pods beside them.

`pytest tests/unit/pods --update-golden` writes the Pods anew: read the difference before it is
committed, since what a file means is a promise.
"""

from pathlib import Path

import pytest

from tests.unit.pods.files import pods_of, written

GOLDEN = Path(__file__).parents[2] / "golden"
FILES = sorted(path for path in GOLDEN.glob("*.yaml") if not path.name.endswith(".pods.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_comes_to_the_pods_that_were_reviewed(path, request):
    expected = path.with_suffix(".pods.yaml")
    found = written(pods_of(path))
    if request.config.getoption("--update-golden"):
        expected.write_text(found)
    assert found.splitlines() == expected.read_text().splitlines()


def test_every_reviewed_pod_has_its_file():
    reviewed = {path.name.removesuffix(".pods.yaml") for path in GOLDEN.glob("*.pods.yaml")}
    assert reviewed == {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_says_what_it_is_about(path):
    assert path.read_bytes().startswith(b"# ")
