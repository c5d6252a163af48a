"""What the bench must know of an engine: how to submit to it, and how to tell its runs and Pods.

Ours is one of them. `--engine MODULE:NAME` measures another one, which works on the cluster
already, with the same loads and beside the same bare client; see docs/performance.md.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.api import names
from gradient_operator.kube.resources import RUNS, Resource
from tests.bench.model import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RUN: Final = f"{names.GROUP}/run"
JOB: Final = f"{names.GROUP}/job"


class End(Enum):
    """How a run has ended, as far as the bench cares."""

    NOT_YET = "not yet"
    WELL = "well"
    BADLY = "badly"


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine."""

    name: str
    """Heads its column."""
    resource: Resource
    """The kind of its runs."""
    submission: Callable[[str, str, Mapping[str, Any]], dict[str, Any]]
    """The object that starts a run: from its name, its namespace and its jobs.

    A job's image, arguments and `needs` stand where a Gradient file has them.
    """
    job_of: Callable[[Mapping[str, Any]], tuple[str, str] | None]
    """The run and the job that a Pod belongs to; None: it is not one of a job."""
    end_of: Callable[[Mapping[str, Any]], End]
    """Whether a run has ended, from its object."""
    ours: bool = False
    """Whether the bench starts it, and reads its metrics."""


def _submission(name: str, namespace: str, jobs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": RUNS.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"definition": {"jobs": dict(jobs)}},
    }


def _job_of(pod: Mapping[str, Any]) -> tuple[str, str]:
    annotations = pod["metadata"].get("annotations", {})
    return annotations.get(RUN, ""), annotations.get(JOB, "")


def _end_of(run: Mapping[str, Any]) -> End:
    phase = run.get("status", {}).get("phase")
    if phase in {"Failed", "Cancelled"}:
        return End.BADLY
    return End.WELL if phase == "Succeeded" else End.NOT_YET


GRADIENT: Final = Engine(
    name="operator",
    resource=RUNS,
    submission=_submission,
    job_of=_job_of,
    end_of=_end_of,
    ours=True,
)


def find_engine(text: str) -> Engine:
    """The engine that `MODULE:NAME` names; modules of the present directory are found.

    Raises:
        BenchError: there is no such thing.
    """
    module, _, name = text.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BenchError(f"--engine {text}: {error}; give MODULE:NAME") from error
    finally:
        sys.path.pop(0)
    if not isinstance(found, Engine):
        raise BenchError(f"--engine {text}: it is no tests.bench.engines.Engine")
    return found
