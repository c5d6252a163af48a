from pathlib import Path

import pytest

from gradient_operator.api import catalogue
from gradient_operator.api.instance_type import InstanceTypeSpec

FOLDER = Path(__file__).parents[3] / "manifests/instance-types"
BOTH = [*catalogue.hosted(), *catalogue.pools()]


def spec_of(documents, name):
    (spec,) = [each["spec"] for each in documents if each["spec"]["name"] == name]
    return spec


def test_the_committed_files_are_what_the_table_says(capsys):
    assert catalogue.main(["--check", str(FOLDER)]) == 0, capsys.readouterr().err


def test_a_fresh_folder_is_written_and_then_up_to_date(tmp_path):
    assert catalogue.main(["--check", str(tmp_path)]) == 1
    assert catalogue.main([str(tmp_path)]) == 0
    assert catalogue.main(["--check", str(tmp_path)]) == 0


@pytest.mark.parametrize("document", BOTH, ids=lambda each: each["spec"]["name"])
def test_every_machine_type_is_valid(document):
    spec = InstanceTypeSpec.model_validate(document["spec"])
    assert document["metadata"]["name"] == spec.name.lower()


def test_names_are_spelled_once():
    names = [each["spec"]["name"] for each in catalogue.hosted()]
    assert len(names) == len(set(names))


def test_both_sets_have_the_same_names_and_gpus():
    hosted = [(each["spec"]["name"], each["spec"].get("gpu")) for each in catalogue.hosted()]
    assert hosted == [(each["spec"]["name"], each["spec"].get("gpu")) for each in catalogue.pools()]


def test_the_machines_that_real_files_name_are_there():
    names = {each["spec"]["name"] for each in catalogue.hosted()}
    assert names >= {"C3", "C4", "C5", "C7", "P4000", "P5000", "P6000", "RTX4000", "A4000"}
    assert names >= {"A5000", "A6000", "A100", "A100-80G", "V100-32Gx4", "A100x8", "H100x8"}
    assert "V100x2" not in names


def test_a_hosted_type_has_its_size_price_and_node():
    assert spec_of(catalogue.hosted(), "C4") == {
        "name": "C4",
        "description": "Hosted machine C4: 2 vCPU, 4 GB",
        "nodeSelector": {"gradient.run/instance-type": "C4"},
        "cpu": "2",
        "memory": "4G",
        "pricePerHour": "0.04",
    }
    assert spec_of(catalogue.hosted(), "C1")["memory"] == "500M"


def test_a_multiple_has_its_gpus_and_no_invented_price():
    spec = spec_of(catalogue.hosted(), "A4000x4")
    assert (spec["gpu"]["count"], spec["cpu"], spec["memory"]) == (4, "32", "180G")
    assert "pricePerHour" not in spec


def test_the_largest_machine_has_its_published_size():
    spec = spec_of(catalogue.hosted(), "H100x8")
    assert (spec["gpu"]["count"], spec["cpu"], spec["memory"]) == (8, "128", "2048G")


def test_a_laptop_holds_the_pools():
    for spec in (each["spec"] for each in catalogue.pools()):
        pool = "gpu" if "gpu" in spec else "cpu"
        assert spec["nodeSelector"] == {"gradient.run/pool": pool}
        assert (spec["cpu"], spec["memory"]) == ("100m", "512Mi")
