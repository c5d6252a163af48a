"""How many combinations of a matrix may run at once: `max-parallel`, in the order of the file.

One that waits for another attempt runs nothing, and holds no place meanwhile.
"""

from collections.abc import Mapping
from typing import Any

from gradient_operator.engine.model import JobPhase, JobRecord
from gradient_operator.workflow.model import Matrix


def room(matrix: Matrix, ledger: Mapping[str, JobRecord]) -> int:
    """How many more may start."""
    if matrix.max_parallel is None:
        return len(matrix.jobs)
    under_way = sum(
        not ledger[name].phase.final and ledger[name].phase is not JobPhase.PENDING
        for name in matrix.jobs
    )
    return matrix.max_parallel - under_way


def waits(matrix: Matrix, base: str) -> dict[str, Any]:
    """What the record of a combination says that may not start yet."""
    text = f"{matrix.max_parallel} of {base} run at once (max-parallel)"
    return {"reason": "MaxParallel", "message": text}
