"""From a whole file to the Pods of its jobs; what a run decides is made up, always the same."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gradient_operator.api.instance_type import Gpu, InstanceTypeSpec
from gradient_operator.api.workflow import Policy
from gradient_operator.controllers.inputs import claims_of, resolve_inputs
from gradient_operator.controllers.pinning import Pinned
from gradient_operator.engine.model import JobRecord, OutputRecord
from gradient_operator.engine.volumes import choose
from gradient_operator.pods.build import build_pod
from gradient_operator.pods.request import PodRequest, RunIdentity, Settings, Storage
from gradient_operator.workflow.compile import compile_file
from gradient_operator.workflow.loader import load
from gradient_operator.workflow.model import Action, CompiledJob, CompiledWorkflow, DatasetInput
from gradient_operator.workflow.references import version_id
from gradient_operator.workflow.state import event_of
from gradient_operator.workflow.validate import parse_file
from tests.builders import done_job

STORAGE = Storage(
    endpoint="http://s3:8333",
    region="us-east-1",
    bucket="gradient",
    prefix="team/",
    path_style=True,
    secret="gradient-storage",
)
SETTINGS = Settings(helper_image="example.org/operator:1", storage_claim=None)
CPU, GPU = {"gradient.run/pool": "cpu"}, {"gradient.run/pool": "gpu"}


def machine(name: str) -> InstanceTypeSpec:
    if name.startswith("C"):
        return InstanceTypeSpec(name=name, node_selector=CPU, cpu="2", memory="4Gi")
    return InstanceTypeSpec(name=name, node_selector=GPU, cpu="8", memory="30Gi", gpu=Gpu(count=1))


def digest(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def pins(workflow: CompiledWorkflow) -> dict[str, Pinned]:
    """Each dataset that is read has one version, which follows from the text of the reference."""
    found = {}
    for job in workflow.jobs.values():
        for item in job.inputs:
            if isinstance(item, DatasetInput):
                text, name = str(item.reference), item.reference.object_name
                made = digest(text)
                home = item.reference.namespace or "team"
                found[text] = Pinned(name, home, version_id(made), made, 1_000)
    return found


def ended(job: CompiledJob) -> JobRecord:
    """The job as it is recorded when it has succeeded."""
    return done_job(
        outputs={
            output.name: OutputRecord(value=f"{output.name} of {job.name}")
            if output.type == "string"
            else OutputRecord(digest=digest(job.name, output.name), bytes=7, files=1)
            for output in job.outputs
        }
    )


def pods_of(path: Path) -> dict[str, Any]:
    """The Pods of a file by job, in the order in which they may start."""
    file = parse_file(load(path.read_bytes().decode(), source=path.name).data)
    workflow = compile_file(file, given={}).workflow
    return pods_of_workflow(workflow, name=path.stem, git_sha=event_of(file).ref or "")


def pods_of_workflow(workflow: CompiledWorkflow, *, name: str, git_sha: str = "") -> dict[str, Any]:
    """The Pods of a compiled file by job."""
    machines = {job.instance_type: machine(job.instance_type) for job in workflow.jobs.values()}
    run = RunIdentity(
        name=f"{name}-k5tq3nfd", uid="5a0f7a3e", namespace="team", workflow=name, git_sha=git_sha
    )
    volumes = choose(
        workflow,
        run=run.name,
        policy=Policy().volumes,
        instance_types=machines,
        read_write_many_class=None,
    )
    ledger = {name: ended(job) for name, job in workflow.jobs.items()}
    pinned = pins(workflow)

    def request(job: CompiledJob) -> PodRequest:
        claims = claims_of(job, volumes)
        return PodRequest(
            run=run,
            job=job,
            attempt=1,
            machine=machines[job.instance_type],
            policy=Policy(),
            settings=SETTINGS,
            inputs=resolve_inputs(
                job, ledger=ledger, pinned=pinned, volumes=volumes, policy=Policy()
            ),
            volumes={
                output.name: volumes[f"{job.name}.{output.name}"]
                for output in job.outputs
                if output.type == "volume"
            },
            storage=STORAGE,
            held_claims=tuple(
                claim for claim, volume in claims.items() if volume.mode == "ReadWriteOnce"
            ),
        )

    return {
        name: build_pod(request(job))
        for name, job in workflow.jobs.items()
        if job.action is not Action.CREATE_MODEL
    }


class _Plain(yaml.SafeDumper):
    """Writes a value that occurs twice twice, and text of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    style = "|" if "\n" in data else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Plain.add_representer(str, _text)


def written(pods: Mapping[str, Any]) -> str:
    """The Pods as one YAML document for each."""
    return yaml.dump_all(
        pods.values(),
        Dumper=_Plain,
        sort_keys=False,
        width=100,
        allow_unicode=True,
        explicit_start=True,
    )
