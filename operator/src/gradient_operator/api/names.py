"""Every name that this project puts into a cluster: group, labels, annotations, Secrets.

They live in one place because other programs select, count and alert by them: a changed name here
is a change of the interface.
"""

from typing import Final

GROUP: Final = "gradient.run"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
MANAGER: Final = "gradient-operator"

LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
"""`gradient-operator` on everything the operator makes; the reflectors select by it."""
LABEL_PART_OF: Final = "app.kubernetes.io/part-of"
PART_OF: Final = "gradient"
"""Value of that label on everything an installation consists of; `make uninstall` selects by it."""
LABEL_WORKFLOW: Final = f"{GROUP}/workflow"
LABEL_RUN: Final = f"{GROUP}/run"
LABEL_RUN_UID: Final = f"{GROUP}/run-uid"
LABEL_JOB: Final = f"{GROUP}/job"
LABEL_ATTEMPT: Final = f"{GROUP}/attempt"
LABEL_DATASET: Final = f"{GROUP}/dataset"
LABEL_VOLUME: Final = f"volume.{GROUP}"
"""Prefix of the labels `volume.gradient.run/<claim>` that hold the users of one claim together."""
LABEL_INSTANCE_TYPE: Final = f"{GROUP}/instance-type"
LABEL_POOL: Final = f"{GROUP}/pool"

ANNOTATION_STRING: Final = f"string.{GROUP}"
"""Prefix of the annotations `string.gradient.run/<input>` whose values become string inputs."""

LABEL_COLLECTOR: Final = f"{GROUP}/collector"
"""On a collector's Pods: the GradientStorageProvider whose bucket it collects, or `default`."""

ANNOTATION_MADE_AT: Final = f"{GROUP}/made-at"
"""On a version that was recovered from its bucket: when it was made first."""

FINALIZER_RESULT: Final = f"{GROUP}/result"
"""On a job's Pod until its result stands in the run's status (as the Job controller's tracking)."""

FINALIZER_STOP: Final = f"{GROUP}/stop"
"""On a run that uploads, while it is under way: so that its Pods are stopped within seconds."""

SECRET_OF_VALUES: Final = "gradient-secrets"
"""The Secret whose keys `secret:NAME` refers to, unless `policy.secretName` names another."""
SECRET_OF_STORAGE: Final = "gradient-storage"
"""The default provider's credentials, as the operator hands them to a namespace."""

CONTAINER_MAIN: Final = "main"
CONTAINER_FETCH: Final = "fetch"
CONTAINER_UPLOADER: Final = "uploader"

KINDS: Final = {
    "GradientWorkflow": "gradientworkflows",
    "GradientRun": "gradientruns",
    "GradientDataset": "gradientdatasets",
    "GradientDatasetVersion": "gradientdatasetversions",
    "GradientStorageProvider": "gradientstorageproviders",
    "GradientInstanceType": "gradientinstancetypes",
    "GradientModel": "gradientmodels",
}
"""Kind to plural, as in the paths of the API."""
