"""The actions that run our own image: which helper each is, and what it is told.

Credentials are variables too, taken from the namespace's Secret by the kubelet: they stand in this
one container alone, and never in its arguments.
"""

from collections.abc import Mapping
from typing import Final

from gradient_operator.workflow.model import Action, CompiledJob, EnvVar

COMMANDS: Final[Mapping[Action, str]] = {
    Action.GIT_CHECKOUT: "git-checkout",
    Action.S3_DOWNLOAD: "s3-download",
}
"""The word after `gradient-helper`."""


def variables(job: CompiledJob) -> list[EnvVar]:
    """The task of the job's helper; empty for a job that runs the user's image."""
    plain: dict[str, str] = {}
    secrets: tuple[EnvVar | None, ...] = ()
    if job.checkout is not None:
        checkout = job.checkout
        plain = {
            "GRADIENT_GIT_URL": checkout.url,
            "GRADIENT_GIT_PATH": checkout.path,
            "GRADIENT_GIT_REF": checkout.ref or "",
        }
        secrets = (checkout.username, checkout.password)
    elif job.download is not None:
        download = job.download
        plain = {
            "GRADIENT_S3_URL": download.url,
            "GRADIENT_S3_PATH": download.path,
            "GRADIENT_S3_REGION": download.region,
            "GRADIENT_S3_ENDPOINT": download.endpoint,
        }
        secrets = (download.access_key, download.secret_key)
    said = [EnvVar(name, value) for name, value in plain.items() if value]
    return said + [secret for secret in secrets if secret is not None]
