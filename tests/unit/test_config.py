"""The operator's configuration: what holds where, and what is refused."""

import pytest

from gradient_operator.config import ConfigurationError, load_config

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


@pytest.mark.parametrize("text", ["namespaces: {Team A: {}}", "namespaces: {a: {maxJobs: 1}}"])
def test_a_wrong_entry_is_named(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="namespaces"):
        load_config(path)
