"""The operator's configuration: what holds where, and what is refused."""

import re
from pathlib import Path

import pytest

from gradient_operator.config import ConfigurationError, OperatorConfig, load_config

TEXT = """
namespacePolicy:
  timeouts: {runMinutes: 600, waitingMinutes: 60}
namespaces:
  team-a:
    timeouts: {runMinutes: 60}
  team-b: {}
"""


def test_a_namespace_says_field_by_field_what_it_has_otherwise(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(TEXT)
    config = load_config(path)
    assert config.policy_of("team-a").timeouts.run_minutes == 60
    assert config.policy_of("team-a").timeouts.waiting_minutes is None
    assert config.policy_of("team-b").timeouts.run_minutes == 600
    assert config.policy_of("other").timeouts.waiting_minutes == 60


def test_the_cache_of_nodes_is_off_unless_a_namespace_has_it(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("namespaces: {team-a: {blobCache: {path: /var/c, sizeLimit: 200Gi}}}")
    config = load_config(path)
    assert config.policy_of("team-a").blob_cache.size_limit == "200Gi"
    assert config.policy_of("team-b").blob_cache is None


@pytest.mark.parametrize(
    "text",
    [
        "namespaces: {Team A: {}}",
        "namespaces: {a: {maxJobs: 1}}",
        "namespaces: {a: {blobCache: {path: /, sizeLimit: 1Gi}}}",
        "namespaces: {a: {blobCache: {path: /a/../b, sizeLimit: 1Gi}}}",
        "namespaces: {a: {blobCache: {path: /a}}}",
    ],
)
def test_a_wrong_entry_is_named(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="namespaces"):
        load_config(path)


def test_a_priority_is_bounded_by_the_namespace_and_names_the_class_of_pods():
    config = OperatorConfig.model_validate(
        {
            "namespacePolicy": {"maxPriority": 10},
            "namespaces": {"prod": {"maxPriority": 1000}},
            "priorityClasses": [
                {"minimum": -1000, "name": "low"},
                {"minimum": 10, "name": "high"},
            ],
        }
    )
    assert [config.priority_of(space, 500) for space in ("team", "prod")] == [10, 500]
    assert config.priority_of("team", -5) == -5
    assert [config.priority_class(priority) for priority in (-5, 9, 10)] == ["low", "low", "high"]
    assert OperatorConfig().priority_class(10) is None


def test_the_page_lists_every_key_and_no_other():
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    table = page.partition("## Configuration")[2]
    listed = {
        key
        for cell in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
        for key in re.findall(r"`(\w+)`", cell)
    }
    assert listed == {field.alias for field in OperatorConfig.model_fields.values()}
