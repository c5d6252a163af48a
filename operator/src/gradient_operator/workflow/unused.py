"""Warns of volumes and strings that no job takes: they end with the run. Datasets are its results.

A misspelt reference is an error of its own; what remains here was forgotten.
"""

from collections.abc import Iterator

from gradient_operator.api.workflow import GradientFile
from gradient_operator.workflow.model import Action, Problem


def unused_outputs(file: GradientFile) -> Iterator[Problem]:
    """One warning for each."""
    taken = {
        value.strip()
        for job in file.jobs.values()
        for value in (job.inputs or {}).values()
        if isinstance(value, str)
    }
    conditions = " ".join(str(job.if_ or "") for job in file.jobs.values())
    for name, job in file.jobs.items():
        if job.uses == Action.CREATE_MODEL:
            continue
        for output, declared in (job.outputs or {}).items():
            used = f"{name}.outputs.{output}" in taken or f".outputs.{output}" in conditions
            if declared.type != "dataset" and not used:
                text = (
                    f"is taken by no job, and a {declared.type} ends with the run: remove it, or "
                    "make it a dataset to keep it"
                )
                yield Problem(("jobs", name, "outputs", output), text, "unused-output", "warning")
