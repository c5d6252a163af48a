"""Dataset references become versions, once; what cannot be pinned is refused with the remedy."""

import pytest

from gradient_operator.controllers.pinning import Pinned, StartRefused, load_pinned, pin_inputs
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS
from tests.builders import DIGEST, make_workflow
from tests.unit.controllers.memory_api import MemoryApi

OLD, NEW = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


@pytest.fixture
def api():
    """A namespace with one dataset of two versions, the newer one called `production`."""
    api = MemoryApi()
    latest = {"version": NEW, "digest": DIGEST, "bytes": 7, "files": 1}
    api.put(DATASETS, "cats", spec={"tags": {"production": NEW}}, status={"latest": latest})
    for version in (OLD, NEW):
        spec = {"dataset": "cats", "version": version, "digest": DIGEST, "bytes": 7, "files": 1}
        api.put(DATASET_VERSIONS, f"cats-{version}", spec=spec)
    api.put(DATASETS, "empty", spec={})
    api.put(DATASETS, "elsewhere", spec={"provider": "ours"}, status={"latest": latest})
    shared = {"readableFrom": ["ns"]}
    api.put(DATASETS, "cats", namespace="team", spec=shared, status={"latest": latest})
    api.put(DATASETS, "secret", namespace="team", spec={}, status={"latest": latest})
    return api


async def pin(api, *references, provider=None, public=None):
    builder = make_workflow()
    for index, reference in enumerate(references):
        builder.job(f"j{index}").takes("d", {"type": "dataset", "with": {"ref": reference}})
    return await pin_inputs(
        api, builder.compile(), namespace="ns", provider=provider, public=public or {}
    )


@pytest.mark.parametrize(
    ("reference", "version"),
    [("cats", NEW), ("cats:latest", NEW), (f"cats:{OLD}", OLD), ("cats:production", NEW)],
)
async def test_each_spelling_names_a_version(api, reference, version):
    found = await pin(api, reference)
    assert list(found.values()) == [Pinned("cats", "ns", version, DIGEST, 7)]


async def test_a_dataset_of_another_namespace_that_may_be_read(api):
    assert (await pin(api, "team/cats"))["team/cats"].namespace == "team"


async def test_a_dataset_that_many_jobs_read_is_pinned_once(api):
    assert list(await pin(api, "cats", "cats", "cats:latest")) == ["cats"]


async def test_a_workflow_without_datasets_needs_none(api):
    assert await pin_inputs(
        api, make_workflow().job("a").compile(), namespace="ns", provider=None, public={}
    ) == {}  # fmt: skip


async def test_the_configuration_says_where_public_datasets_are_and_all_may_read_them(api):
    found = await pin(api, "gradient/secret", public={"gradient": "team"})
    assert found["gradient/secret"].namespace == "team"
    with pytest.raises(StartRefused, match="-n team") as caught:
        await pin(api, "gradient/none", public={"gradient": "team"})
    assert "publicDatasets" not in str(caught.value)


def optional(name):
    data = {"type": "dataset", "optional": True, "with": {"ref": name}}
    return make_workflow(inputs={"d": data}).job("a").takes("d", "workflow.inputs.d")


@pytest.mark.parametrize("name", ["dogs", "empty", "cats:v9"])
async def test_an_optional_input_may_be_missing(api, name):
    workflow = optional(name).compile(given={})
    pins = {"namespace": "ns", "provider": None, "public": {}}
    assert await pin_inputs(api, workflow, **pins) == {}
    needed = {"type": "dataset", "with": {"ref": name}}
    workflow = optional(name).job("b").takes("d", needed).compile(given={})
    with pytest.raises(StartRefused):
        await pin_inputs(api, workflow, **pins)


async def test_an_optional_input_may_not_be_somebody_elses(api):
    workflow = optional("team/secret").compile(given={})
    with pytest.raises(StartRefused, match="readableFrom"):
        await pin_inputs(api, workflow, namespace="ns", provider=None, public={})


REFUSED = {
    "public and kept nowhere": (
        "gradient/cats",
        "DatasetNotFound",
        (
            "-n gradient; or name the namespace that holds the vendor's public datasets under "
            "publicDatasets.gradient in the operator's configuration"
        ),
    ),
    "no such dataset": (
        "dogs",
        "DatasetNotFound",
        "Put data into it: gradient dataset put DIRECTORY dogs -n ns",
    ),
    "no version yet": ("empty", "DatasetEmpty", "refer to JOB.outputs.NAME"),
    "no such tag": ("cats:v1", "VersionNotFound", "gradient dataset versions cats -n ns"),
    "no such version": ("cats:cccccccccccc", "VersionNotFound", "no version or tag"),
    "not for this namespace": ("team/secret", "DatasetForbidden", "spec.readableFrom"),
    "another provider": ("elsewhere", "ProviderMismatch", "set policy.datasets.provider"),
}


@pytest.mark.parametrize(("reference", "reason", "remedy"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_pinned_is_refused(api, reference, reason, remedy):
    with pytest.raises(StartRefused) as caught:
        await pin(api, reference)
    assert caught.value.reason == reason
    assert remedy in str(caught.value)


async def test_the_provider_of_the_run_decides(api):
    assert list(await pin(api, "elsewhere", provider="ours")) == ["elsewhere"]
    with pytest.raises(StartRefused, match="kept by the default provider, the run uses ours"):
        await pin(api, "cats", provider="ours")


async def test_pins_are_read_from_the_status_again(api):
    pinned = await pin(api, "cats", f"cats:{OLD}")
    status = {"inputs": {text: item.dump() for text, item in pinned.items()}}
    assert load_pinned(status) == pinned
