"""`gradient dataset`: data goes in and comes out again, and every dead end names the way on."""

import base64
import os
from pathlib import Path

import pytest

from gradient_operator.cli.dataset import access
from gradient_operator.cli.dataset.storage import SYSTEM_NAMESPACE
from gradient_operator.datasets import restore
from gradient_operator.datasets.errors import StorageUnavailableError
from gradient_operator.kube.errors import Forbidden
from gradient_operator.kube.resources import (
    DATASET_VERSIONS,
    DATASETS,
    SECRETS,
    STORAGE_PROVIDERS,
    Resource,
)
from gradient_operator.workflow.references import object_name

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
CONFIG_MAP = "gradient-operator-config-7hf2k"


def secret(client, name, namespace):
    data = {"accessKeyId": b"key", "secretAccessKey": b"secret"}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    client.add(SECRETS, {"metadata": {"name": name}, "data": encoded}, namespace=namespace)


@pytest.fixture
def bucket(client, tmp_path):
    """The operator's default storage: a folder."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    config = f"storage:\n  endpoint: {folder.as_uri()}\n  bucket: data\n  prefix: p\n"
    client.add(
        CONFIG_MAPS,
        {"metadata": {"name": CONFIG_MAP}, "data": {"config.yaml": config}},
        namespace=SYSTEM_NAMESPACE,
    )
    volumes = [{"name": "tmp"}, {"name": "config", "configMap": {"name": CONFIG_MAP}}]
    client.add(
        DEPLOYMENTS,
        {
            "metadata": {"name": "gradient-operator"},
            "spec": {"template": {"spec": {"volumes": volumes}}},
        },
        namespace=SYSTEM_NAMESPACE,
    )
    secret(client, "gradient-storage", "team")
    return folder


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    (folder / "deep" / "b.bin").write_bytes(os.urandom(3_000_000))
    (folder / "link").symlink_to("a.txt")
    return folder


def put(gradient, source, *options):
    code, out, err = gradient("dataset", "put", str(source), "Digits", *options)
    assert code == 0, err
    return out


def version_in(client):
    (version,) = client.of(DATASET_VERSIONS).values()
    return version["spec"]


@pytest.fixture
def stored(gradient, bucket, source):
    """A directory that is the newest version of `Digits`."""
    put(gradient, source)
    return source


def test_what_is_put_can_be_got_again(gradient, client, bucket, source, tmp_path):
    put(gradient, source)
    target = tmp_path / "target"
    code, out, _ = gradient("dataset", "get", "Digits", str(target))
    assert code == 0
    assert "2 files, 2.9 MiB" in out
    assert (target / "a.txt").read_text() == "one"
    assert (target / "deep/b.bin").read_bytes() == (source / "deep/b.bin").read_bytes()
    assert (target / "link").readlink() == Path("a.txt")


def test_put_makes_dataset_version_and_latest(gradient, client, bucket, source):
    out = put(gradient, source, "--message", "first try")
    (name, dataset), *others = client.of(DATASETS).items()
    spec = version_in(client)
    assert others == []
    assert dataset["spec"]["name"] == "Digits"
    assert spec["dataset"] == name
    assert spec["message"] == "first try"
    assert f"{name}-{spec['version']}" in client.of(DATASET_VERSIONS)
    latest = {key: spec[key] for key in ("version", "digest", "bytes", "files")}
    assert dataset["status"]["latest"] == latest | {"createdAt": "2026-01-31T12:00:00Z"}
    assert f"Stored {source} as Digits:{spec['version']} (2 files, 2.9 MiB)." in out


def test_the_same_content_is_the_same_version(gradient, client, bucket, source):
    put(gradient, source)
    out = put(gradient, source)
    assert "holds this content already" in out
    assert len(client.of(DATASET_VERSIONS)) == 1


def test_latest_is_what_was_put_last_also_when_it_was_there_before(
    gradient, client, bucket, source
):
    put(gradient, source)
    first = version_in(client)["version"]
    (source / "a.txt").write_text("two")
    put(gradient, source)
    (source / "a.txt").write_text("one")
    put(gradient, source)
    (dataset,) = client.of(DATASETS).values()
    assert dataset["status"]["latest"]["version"] == first


def test_an_interrupted_put_is_completed_by_the_next(gradient, client, bucket, source):
    put(gradient, source)
    (dataset,) = client.of(DATASETS).values()
    client.add(DATASETS, {**dataset, "status": {}})  # as if it had ended before `latest`
    put(gradient, source)
    (dataset,) = client.of(DATASETS).values()
    assert dataset["status"]["latest"]["version"] == version_in(client)["version"]


def test_versions_and_tags_are_found_by_name(gradient, client, bucket, source, tmp_path):
    put(gradient, source)
    version = version_in(client)["version"]
    (dataset,) = client.of(DATASETS).values()
    client.add(DATASETS, {**dataset, "spec": {**dataset["spec"], "tags": {"production": version}}})
    for number, reference in enumerate([f"Digits:{version}", "Digits:production", "Digits:latest"]):
        assert gradient("dataset", "get", reference, str(tmp_path / str(number)))[0] == 0
    code, out, _ = gradient("dataset", "files", "team/Digits:production", "-n", "other")
    assert code == 0
    assert out.splitlines() == [
        "       3 B  a.txt",
        " directory  deep/",
        "   2.9 MiB  deep/b.bin",
        "      link  link -> a.txt",
    ]


def test_lists_show_what_there_is(gradient, client, bucket, source):
    assert "gradient dataset put DIRECTORY NAME -n team" in gradient("dataset", "list")[2]
    put(gradient, source, "-m", "first try")
    version = version_in(client)["version"]
    (dataset,) = client.of(DATASETS).values()
    dataset["status"]["versions"] = 1  # the operator counts them
    head, row = gradient("dataset", "list")[1].splitlines()
    assert head.split() == ["NAME", "LATEST", "SIZE", "FILES", "VERSIONS", "UPDATED"]
    assert row.startswith(f"Digits  {version}  2.9 MiB  2      1 ")
    head, row = gradient("dataset", "versions", "Digits")[1].splitlines()
    assert row.startswith(version)
    for text in ("gradient dataset put", "latest", "first try"):
        assert text in row


def test_versions_made_by_jobs_name_them(gradient, client):
    client.add(DATASETS, {"metadata": {"name": "d"}, "spec": {"tags": {"good": "a" * 12}}})
    spec = {"dataset": "d", "version": "a" * 12, "digest": "0" * 64, "bytes": 1, "files": 1}
    client.add(
        DATASET_VERSIONS,
        {
            "metadata": {"name": "d-" + "a" * 12, "labels": {"gradient.run/dataset": "d"}},
            "spec": {**spec, "origin": {"run": "train-x", "job": "Train"}},
        },
    )
    out = gradient("dataset", "versions", "d")[1]
    assert "train-x/Train" in out
    assert "good" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["get", "Nothing", "{new}"], "no dataset 'Nothing' in namespace team. List them"),
        (["get", "Empty", "{new}"], "has no version yet. Put data into it"),
        (["get", "Digits:nope", "{new}"], "no version or tag 'nope'. List them: gradient dataset"),
        (["get", "Digits:" + "a" * 12, "{new}"], "no version or tag 'aaaaaaaaaaaa'"),
        (["get", "a b", "{new}"], "is no dataset reference"),
        (["get", "Digits", "{source}"], "is not an empty directory"),
        (["put", "{new}", "Digits"], "is not a directory"),
        (["put", "{source}", "Digits:v1"], "give the dataset's name alone"),
        (["put", "{source}", "lab/Digits"], "give the dataset's name alone"),
        (["versions", "Nothing"], "no dataset 'Nothing'"),
        (["get", "Digits", "{new}", "--endpoint", "ftp://x"], "--endpoint: the storage endpoint"),
    ],
)
def test_dead_ends_name_the_way_on(gradient, client, stored, arguments, says):
    source, tmp_path = stored, stored.parent
    client.add(DATASETS, {"metadata": {"name": object_name("Empty")}, "spec": {}})
    filled = [text.format(new=tmp_path / "new", source=source) for text in arguments]
    code, _, err = gradient("dataset", *filled)
    assert code == 2
    assert says in err
    assert not (tmp_path / "new").exists()


def test_a_dataset_of_a_provider_is_kept_there(gradient, client, source, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    spec = {"endpoint": folder.as_uri(), "bucket": "own", "credentialsSecret": "keys"}
    client.add(STORAGE_PROVIDERS, {"metadata": {"name": "ours"}, "spec": spec})
    secret(client, "keys", "team")
    body = {"metadata": {"name": object_name("Digits")}, "spec": {"provider": "ours"}}
    client.add(DATASETS, body)
    put(gradient, source)
    assert any(folder.iterdir())


def test_where_helpers_have_an_identity_people_bring_keys_of_their_own(
    gradient, client, source, tmp_path, monkeypatch
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "own").mkdir()
    spec = {
        "endpoint": (tmp_path / "own").as_uri(),
        "bucket": "own",
        "webIdentity": {"roleArn": "arn:aws:iam::1:role/x"},
    }
    client.add(STORAGE_PROVIDERS, {"metadata": {"name": "ours"}, "spec": spec})
    body = {"metadata": {"name": object_name("Digits")}, "spec": {"provider": "ours"}}
    client.add(DATASETS, body)
    code, _, err = gradient("dataset", "put", str(source), "Digits")
    assert code == 2
    assert "put keys of your own into AWS_ACCESS_KEY_ID" in err
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    put(gradient, source)


def test_the_default_storage_may_be_opened_with_the_operators_own_secret(
    gradient, client, bucket, source
):
    del client.objects["secrets", "team", "gradient-storage"]
    code, _, err = gradient("dataset", "put", str(source), "Digits")
    assert code == 2
    assert "there is no Secret gradient-storage in namespace team, and there is no Secret " in err
    assert f"gradient-storage-default in namespace {SYSTEM_NAMESPACE}" in err
    secret(client, "gradient-storage-default", SYSTEM_NAMESPACE)
    put(gradient, source)


def test_keys_that_may_not_be_read_are_told_from_keys_that_are_not_there(
    gradient, client, bucket, source, monkeypatch
):
    get_object = client.get

    async def guarded(resource, *, name, namespace=None):
        if name == "gradient-storage-default":
            raise Forbidden("no")
        return await get_object(resource, name=name, namespace=namespace)

    monkeypatch.setattr(client, "get", guarded)
    del client.objects["secrets", "team", "gradient-storage"]
    code, _, err = gradient("dataset", "put", str(source), "Digits")
    assert code == 2
    assert "there is no Secret gradient-storage in namespace team, and you may not read " in err


def test_storage_that_cannot_be_found_is_explained(gradient, client, bucket, source):
    arguments = ("dataset", "put", str(source), "Digits")
    place = ("configmaps", SYSTEM_NAMESPACE, CONFIG_MAP)
    config = client.objects.pop(place)
    assert "Is the operator installed?" in gradient(*arguments)[2]
    client.objects[place] = {**config, "data": {"config.yaml": "workers: 1", "x": "["}}
    err = gradient(*arguments)[2]
    assert "No object storage is configured" in err
    assert "What its file x says is no YAML" in err
    client.objects[place] = {**config, "data": {"config.yaml": "storage: {endpoint: 'ftp://x'}"}}
    assert "is misconfigured: the storage endpoint" in gradient(*arguments)[2]


def test_a_configuration_that_may_not_be_read_is_explained(
    gradient, client, bucket, source, monkeypatch
):
    get_object = client.get

    async def guarded(resource, *, name, namespace=None):
        if resource.plural == "configmaps":
            raise Forbidden("no")
        return await get_object(resource, name=name, namespace=namespace)

    monkeypatch.setattr(client, "get", guarded)
    code, _, err = gradient("dataset", "put", str(source), "Digits")
    assert code == 2
    assert "You may not read the operator's configuration" in err
    assert "GradientStorageProvider" in err


def test_damaged_data_is_refused_and_leaves_nothing_behind(
    gradient, client, bucket, source, tmp_path
):
    put(gradient, source)
    for blob in (bucket / "p/v1/segments").rglob("*"):
        if blob.is_file():
            blob.write_bytes(b"x" * blob.stat().st_size)
    target = tmp_path / "target"
    code, _, err = gradient("dataset", "get", "Digits", str(target))
    assert code == 2
    assert "does not hold the bytes" in err
    assert not target.exists()
    target.mkdir()
    assert gradient("dataset", "get", "Digits", str(target))[0] == 2
    assert list(target.iterdir()) == []


def test_the_same_command_goes_on_with_a_download(gradient, bucket, source, tmp_path, monkeypatch):
    put(gradient, source)
    target = tmp_path / "target"

    def interrupt(_entry, _place):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(restore._Restore, "_add_small", lambda _self, *rest: interrupt(*rest))
        assert gradient("dataset", "get", "Digits", str(target))[0] != 0
    assert not (target / "a.txt").exists()
    assert any(target.iterdir())

    assert gradient("dataset", "get", "Digits", str(target))[0] == 0
    assert sorted(item.name for item in target.iterdir()) == ["a.txt", "deep", "link"]
    assert (target / "a.txt").read_text() == "one"


def test_leftovers_of_another_version_are_not_mixed(gradient, client, bucket, source, tmp_path):
    put(gradient, source)
    target = tmp_path / "target"
    target.mkdir()
    (target / f"{restore.MARKER}{'0' * 64}").touch()
    code, _, err = gradient("dataset", "get", "Digits", str(target))
    assert code == 2
    assert "interrupted download of another version" in err


def test_storage_that_does_not_answer_is_not_waited_for_too_long(
    gradient, client, bucket, source, monkeypatch
):
    config = "storage: {endpoint: 'http://127.0.0.1:9', bucket: data}"
    client.objects["configmaps", SYSTEM_NAMESPACE, CONFIG_MAP]["data"] = {"config.yaml": config}
    monkeypatch.setattr(access, "RETRY_SECONDS", 0.0)
    code, _, err = gradient("dataset", "put", str(source), "Digits")
    assert code == 2
    assert "127.0.0.1:9" in err
    assert StorageUnavailableError.__name__ not in err


def test_another_content_with_the_same_version_id_is_refused(gradient, client, stored):
    (version,) = client.of(DATASET_VERSIONS).values()
    client.add(DATASET_VERSIONS, {**version, "spec": {**version["spec"], "digest": "0" * 64}})
    code, _, err = gradient("dataset", "put", str(stored), "Digits")
    assert code == 2
    assert "exists with other content" in err


def test_latest_is_set_in_spite_of_another_writer(gradient, client, stored, monkeypatch):
    (dataset,) = client.of(DATASETS).values()
    before = dataset["status"]["latest"]["version"]
    (stored / "a.txt").write_text("two")
    patch, others = client.merge_patch, [1, 2]

    async def disturbed(resource, body, *, name, namespace=None, subresource=None):
        if others:
            others.pop()
            (dataset,) = client.of(DATASETS).values()
            client.add(DATASETS, dataset)  # gives it a new resourceVersion
        return await patch(resource, body, name=name, namespace=namespace, subresource=subresource)

    monkeypatch.setattr(client, "merge_patch", disturbed)
    put(gradient, stored)
    (dataset,) = client.of(DATASETS).values()
    assert others == []
    assert dataset["status"]["latest"]["version"] != before
