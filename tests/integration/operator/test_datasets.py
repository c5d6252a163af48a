"""What datasets say of themselves on a real API server: tags, sums, conditions, retention."""

import uuid

import pytest

from gradient_operator.dataset_versions import Content, commit
from gradient_operator.kube.errors import Invalid
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS
from gradient_operator.workflow.references import DatasetReference, version_id
from tests.integration.api.objects import Kubectl
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.team import Team
from tests.waiting import eventually


class Dataset:
    """A dataset of its own for each test."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.name = f"d-{uuid.uuid4().hex[:6]}"

    async def put(self, letter: str) -> str:
        content = Content(digest=letter * 64, bytes=3 * 2**20, files=2)
        version, _ = await commit(
            self.team.client,
            namespace=self.team.namespace,
            dataset=DatasetReference(self.name),
            content=content,
        )
        return version

    async def spec(self, **changes: object) -> None:
        await self.team.client.merge_patch(
            DATASETS, {"spec": changes}, name=self.name, namespace=self.team.namespace
        )

    async def status(self) -> dict:
        found = await self.team.client.get(DATASETS, name=self.name, namespace=self.team.namespace)
        return found.get("status") or {}

    async def versions(self) -> dict[str, dict]:
        listed = await self.team.client.list_all(DATASET_VERSIONS, namespace=self.team.namespace)
        own = [item for item in listed.items if item["spec"]["dataset"] == self.name]
        return {item["spec"]["version"]: item.get("status") or {} for item in own}

    async def ready(self) -> tuple[str, str]:
        for condition in (await self.status()).get("conditions", ()):
            if condition["type"] == "Ready":
                return condition["status"], condition["message"]
        return "", ""


async def test_tags_are_declared_and_shown(
    operator: OperatorProcess, team: Team, kubectl: Kubectl
) -> None:
    dataset = Dataset(team)
    first, second = await dataset.put("a"), await dataset.put("b")
    await dataset.spec(tags={"best": first})

    async def tagged() -> None:
        assert (await dataset.versions())[first].get("tags") == "best"
        assert (await dataset.status()).get("tags") == "best"
        assert (await dataset.status())["versions"] == 2

    await eventually(tagged)
    row = kubectl("get", "gds", dataset.name).output.splitlines()[1].split()
    assert row[:7] == [dataset.name, second, "2", "3.0", "MiB", "2", "best"]
    row = kubectl("get", "gdv", f"{dataset.name}-{first}").output.splitlines()[1].split()
    assert row[1:8] == [dataset.name, first, "best", "3.0", "MiB", "2", "put"]

    await dataset.spec(tags={"best": version_id("c" * 64)})

    async def told() -> None:
        status, message = await dataset.ready()
        assert status == "False"
        assert "best (" in message

    await eventually(told)


async def test_what_retention_does_not_keep_is_deleted(
    operator: OperatorProcess, team: Team
) -> None:
    dataset = Dataset(team)
    first, second, third = [await dataset.put(letter) for letter in "abc"]
    await dataset.spec(tags={"keep": first}, retention={"keepLast": 1, "grace": "2s"})

    async def gone() -> None:
        assert set(await dataset.versions()) == {first, third}

    await eventually(gone)
    assert second not in await dataset.versions()

    async def counted() -> None:
        status = await dataset.status()
        assert status["versions"] == 2
        assert "expiring" not in status

    await eventually(counted)


async def test_the_newest_is_found_again_after_its_deletion(
    operator: OperatorProcess, team: Team
) -> None:
    dataset = Dataset(team)
    first, second = await dataset.put("a"), await dataset.put("b")
    await team.client.delete(
        DATASET_VERSIONS, name=f"{dataset.name}-{second}", namespace=team.namespace
    )

    async def back() -> None:
        assert ((await dataset.status()).get("latest") or {}).get("version") == first

    await eventually(back)


async def test_retention_that_keeps_nothing_is_refused_at_once(team: Team) -> None:
    dataset = Dataset(team)
    await dataset.put("a")
    with pytest.raises(Invalid, match="set keepLast, keepUsedWithin, or both"):
        await dataset.spec(retention={"keepTagged": True})
