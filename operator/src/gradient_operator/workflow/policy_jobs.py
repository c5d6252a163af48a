"""Refuses entries of `policy.jobs` for jobs that there are not: they would hold nowhere."""

from collections.abc import Iterator

from gradient_operator.api.workflow import GradientFile, Policy
from gradient_operator.workflow.model import Problem
from gradient_operator.workflow.nearest import nearest


def unknown_jobs(file: GradientFile, policy: Policy | None) -> Iterator[Problem]:
    """One problem for each; jobs are named as the file has them, without the values of a matrix."""
    for name in policy.jobs if policy is not None else ():
        if name not in file.jobs:
            text = f"is not a job of the file; {nearest(name, file.jobs, 'it has none')}"
            yield Problem(("policy", "jobs", name), text, "unknown-job-name")
