"""`gradient model`: what was registered, and its files."""

import json

import pytest

from gradient_operator.kube.resources import MODELS
from tests.unit.cli import test_dataset

bucket, source, stored = test_dataset.bucket, test_dataset.source, test_dataset.stored


def model(client, number, *, created, **spec):
    client.add(
        MODELS,
        {
            "metadata": {"name": f"detector-{number}", "creationTimestamp": created},
            "spec": {
                "name": "Detector",
                "type": "Tensorflow",
                "dataset": "weights",
                "version": f"abcdefgh234{number}",
                "digest": str(number) * 64,
                "origin": {"run": f"train-{number}", "job": "register"},
            }
            | spec,
        },
    )


@pytest.fixture
def two(client):
    model(client, 2, created="2026-01-30T12:00:00Z")
    model(client, 3, created="2026-01-31T12:00:00Z", datasetNamespace="other")


def test_the_newest_stands_first_with_its_kind_and_version(gradient, two):
    code, out, _ = gradient("model", "list")
    assert code == 0
    head, first, second = out.splitlines()
    assert head.split()[:5] == ["MODEL", "KIND", "VERSION", "DATASET", "MADE"]
    row = ["Detector", "Tensorflow", "abcdefgh2343", "weights", "train-3/register"]
    assert first.split()[:5] == row
    assert "detector-2" in second
    listed = json.loads(gradient("model", "list", "-o", "json")[1])
    assert [item["datasetVersion"] for item in listed] == [
        "other/weights:abcdefgh2343",
        "team/weights:abcdefgh2342",
    ]


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("Detector", "detector-3"),
        ("Detector:latest", "detector-3"),
        ("Detector:abcdefgh2342", "detector-2"),
        ("detector-2", "detector-2"),
    ],
)
def test_a_model_is_found_by_name_version_or_id(gradient, two, reference, found):
    assert json.loads(gradient("model", "get", reference, "-o", "json")[1])["id"] == found


def test_it_says_which_dataset_version_it_is(gradient, two):
    _, out, _ = gradient("model", "get", "Detector")
    assert "kind     Tensorflow" in out
    assert "version  abcdefgh2343, dataset other/weights:abcdefgh2343" in out
    assert "made by  train-3/register" in out


def test_its_files_are_downloaded(gradient, client, stored, tmp_path):
    spec = test_dataset.version_in(client)
    model(
        client, 4, created="2026-01-31T12:00:00Z", dataset=spec["dataset"], version=spec["version"]
    )
    code, _, err = gradient("model", "get", "Detector", str(tmp_path / "to"))
    assert code == 0, err
    assert (tmp_path / "to/a.txt").read_text() == "one"


def test_dead_ends_name_the_way_on(gradient, two, client):
    code, _, err = gradient("model", "get", "Detector:none")
    assert code == 2
    assert "List them: gradient model list -n team" in err
    client.objects.clear()
    code, out, err = gradient("model", "list")
    assert (code, out) == (0, "")
    assert "create-model@v1" in err
