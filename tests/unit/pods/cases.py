"""The jobs whose Pods stand in `golden/`; `python -m tests.unit.pods.cases` writes them anew.

Read the difference before it is committed: what a Pod looks like is an interface.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from gradient_operator.api.datasets import WebIdentity
from gradient_operator.api.instance_type import Gpu, InstanceTypeSpec, Toleration
from gradient_operator.api.workflow import Policy
from gradient_operator.engine.model import VolumeRecord
from gradient_operator.pods.build import build_pod
from gradient_operator.pods.request import (
    ClaimedInput,
    FetchedInput,
    PodRequest,
    RunIdentity,
    Settings,
    Storage,
    StoredString,
    StringValue,
)
from tests.builders import DIGEST, WorkflowBuilder, make_workflow

GOLDEN = Path(__file__).parent / "golden"
RUN = RunIdentity(
    name="train-k5tq3nfd", uid="5a0f7a3e", namespace="team", workflow="train", git_sha="c0ffee"
)
SETTINGS = Settings(helper_image="example.org/operator:1")
STORAGE = Storage(
    endpoint="http://s3:8333",
    region="us-east-1",
    bucket="gradient",
    prefix="team/",
    path_style=True,
    secret="gradient-storage",
)
CPU = InstanceTypeSpec(name="C4", node_selector={"gradient.run/pool": "cpu"}, cpu="2", memory="4Gi")
GPU = InstanceTypeSpec(
    name="A100x2",
    node_selector={"gradient.run/pool": "gpu"},
    tolerations=[Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")],
    cpu="12",
    memory="90Gi",
    gpu=Gpu(count=2),
)
ANYWHERE = InstanceTypeSpec(name="any")
HELD = VolumeRecord("ReadWriteOnce", "", "train-k5tq3nfd-clone.repo")
COPIED = VolumeRecord("Copy", "")


def request(builder: WorkflowBuilder, **changes: Any) -> PodRequest:
    """The first attempt of the builder's last job, on a CPU."""
    job = builder.compile().jobs[builder.current]
    return PodRequest(
        **{
            "run": RUN,
            "job": job,
            "attempt": 1,
            "machine": CPU,
            "policy": Policy(),
            "settings": SETTINGS,
            **changes,
        }
    )


def checkout() -> WorkflowBuilder:
    """The usual first job."""
    builder = make_workflow().job("clone").makes("repo", "volume")
    return builder.uses(
        "git-checkout@v1",
        url="https://example.org/r.git",
        ref="main",
        username="me",
        password="secret:TOKEN",
    )


CASES = {
    "script": request(
        make_workflow()
        .job("Hello_World")
        .uses("script@v1", image="bash:5", script='echo "$NAME" $(date)')
        .env(NAME="$USER costs $$5", TOKEN="secret:TOKEN")
    ),
    "container-without-arguments": request(
        make_workflow().job("a").container(),
        machine=ANYWHERE,
        settings=Settings(helper_image="example.org/operator:1", finalizer=False),
    ),
    "gpu": request(
        make_workflow(
            defaults={"resources": {"instance-type": "A100x2", "container-registries": ["hub"]}}
        )
        .job("train")
        .without("resources")
        .container(command="python", args=["train.py", "--price=$5"]),
        machine=GPU,
        attempt=2,
    ),
    "checkout-into-a-held-claim": request(
        checkout(), volumes={"repo": HELD}, held_claims=(HELD.claim,)
    ),
    "download-from-s3": request(
        make_workflow()
        .job("fetch")
        .makes("data", "dataset", "cats")
        .uses(
            "s3-download@v1",
            url="s3://bucket/$DAY/",
            endpoint="https://s3.example.org",
            region="eu",
            **{"access-key": "secret:S3_ID", "secret-access-key": "secret:S3_KEY"},
        )
        .env(DAY="monday"),
        storage=STORAGE,
    ),
    "volumes-and-storage": request(
        checkout().job("a").needs("clone").makes("repo", "volume"),
        inputs=(
            ClaimedInput("code", HELD.claim),
            ClaimedInput("again", HELD.claim, read_only=True),
        ),
        volumes={"repo": VolumeRecord("ReadWriteMany", "", "train-k5tq3nfd-a.repo")},
        settings=Settings(helper_image="example.org/operator:1", storage_claim="storage"),
    ),
    "folders-of-one-claim": request(
        make_workflow().job("a").makes("v", "volume"),
        inputs=(ClaimedInput("other", HELD.claim, folder="b.v"),),
        volumes={"v": replace(HELD, folder="a.v")},
        held_claims=(HELD.claim,),
    ),
    "datasets-and-strings": request(
        make_workflow()
        .job("train")
        .makes("model", "dataset", "models")
        .makes("accuracy", "string"),
        inputs=(
            FetchedInput("cats", DIGEST, 1_000),
            StringValue("note", "costs $5 and {{ braces }}\n"),
            StringValue("empty", ""),
            StoredString("long", "runs/uid/result.json", "text"),
        ),
        storage=STORAGE,
        policy=Policy(upload_seconds=600, secret_name="team-secrets"),
        bases=(DIGEST,),
    ),
    "gathered-from-a-matrix": request(
        make_workflow().job("best"),
        inputs=(
            FetchedInput("models/0.1", DIGEST, 5),
            FetchedInput("models/5", DIGEST, 5),
            StringValue("notes/0.1", "good"),
            StoredString("notes/5", "runs/uid/result.json", "note"),
        ),
        storage=STORAGE,
    ),
    "web-identity": request(
        make_workflow()
        .job("train")
        .takes("data", {"type": "dataset", "with": {"ref": "cats"}})
        .makes("out", "dataset", "dogs"),
        inputs=(FetchedInput("data", DIGEST, 5),),
        storage=replace(
            STORAGE,
            secret=None,
            identity=WebIdentity(
                role_arn="arn:aws:iam::123456789012:role/data",
                endpoint="https://sts.example.org",
                service_account="reader",
            ),
        ),
    ),
    "copied-volume": request(
        make_workflow().job("train").makes("out", "volume"),
        inputs=(FetchedInput("repo", DIGEST, 5, writable=True),),
        volumes={"out": COPIED},
        storage=STORAGE,
    ),
}


class _Plain(yaml.SafeDumper):
    """Writes a value that occurs twice twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def main() -> None:
    """Write every Pod."""
    for name, case in CASES.items():
        text = yaml.dump(build_pod(case), Dumper=_Plain, sort_keys=False, width=100)
        (GOLDEN / f"{name}.yaml").write_text(text)


if __name__ == "__main__":
    main()
