"""What people do with versions: name them, trace them, compare them, check them, take them away."""

import subprocess
import tarfile

import pytest

from gradient_operator.kube.errors import Forbidden
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS, RUNS
from tests.unit.cli import test_dataset
from tests.unit.cli.fake import run_object

bucket, source, stored = test_dataset.bucket, test_dataset.source, test_dataset.stored
put = test_dataset.put


def tags(client):
    (dataset,) = client.of(DATASETS).values()
    return dataset["spec"].get("tags") or {}


@pytest.fixture
def two(gradient, client, stored):
    """Two versions of `Digits`: their ids, oldest first."""
    (stored / "a.txt").write_text("other")
    (stored / "new").write_text("1")
    (stored / "link").unlink()
    first = {item["spec"]["version"] for item in client.of(DATASET_VERSIONS).values()}
    put(gradient, stored)
    both = {item["spec"]["version"] for item in client.of(DATASET_VERSIONS).values()}
    return [*first, *(both - first)]


class TestTags:
    def test_a_tag_names_a_version_until_it_moves_or_goes(self, gradient, client, two):
        first, second = two
        assert f"production is now Digits:{first}.\n" in gradient(
            "dataset", "tag", f"Digits:{first}", "production"
        )
        _, out, _ = gradient("dataset", "tag", "Digits", "production")
        assert out == f"production is now Digits:{second}. It meant {first} before.\n"
        gradient("dataset", "tag", "Digits:production", "best")
        assert tags(client) == {"production": second, "best": second}
        _, out, _ = gradient("dataset", "untag", "Digits", "production")
        assert out == f"production meant Digits:{second} and is gone.\n"
        assert tags(client) == {"best": second}

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["tag", "Digits:nope", "x"], "no version or tag 'nope'"),
            (["tag", "Digits", "latest"], "always the version that came last"),
            (["tag", "Digits", "a" * 12], "looks like a version"),
            (["tag", "Digits", "a b"], "is no tag: take up to 63"),
            (["untag", "Digits", "x"], "has no tag 'x'; its tags: best"),
            (["untag", "Nothing", "x"], "no dataset 'Nothing'"),
        ],
    )
    def test_dead_ends_name_the_way_on(self, gradient, client, stored, arguments, says):
        gradient("dataset", "tag", "Digits", "best")
        before = tags(client)
        code, _, err = gradient("dataset", *arguments)
        assert code == 2
        assert says in err
        assert tags(client) == before


class TestDiff:
    def test_it_names_what_came_went_and_changed_with_sizes(self, gradient, two):
        first, second = two
        code, out, err = gradient("dataset", "diff", f"Digits:{first}", f"Digits:{second}")
        assert code == 0
        assert [line.split() for line in out.splitlines()] == [
            ["~", "3", "B", "->", "5", "B", "a.txt"],
            ["-", "link", "link"],
            ["+", "1", "B", "new"],
        ]
        assert f"Digits:{first} -> Digits:{second}: 1 added, 1 removed, 1 changed, +3 B" in err

    def test_a_version_does_not_differ_from_itself(self, gradient, stored):
        code, out, err = gradient("dataset", "diff", "Digits", "Digits:latest")
        assert (code, out) == (0, "")
        assert "no difference" in err


class TestVerify:
    def test_a_whole_version_is_said_to_be_whole(self, gradient, stored):
        code, out, _ = gradient("dataset", "verify", "Digits")
        assert code == 0
        assert "is whole (2 files, 2.9 MiB)" in out

    def test_damaged_files_are_named_and_the_exit_code_says_so(self, gradient, bucket, stored):
        for blob in (bucket / "p/v1/segments").rglob("*"):
            if blob.is_file():
                blob.write_bytes(b"x" * blob.stat().st_size)
        code, out, err = gradient("dataset", "verify", "Digits")
        assert code == 1
        assert out == "changed  deep/b.bin\n"
        assert "is damaged: 1 of 2 files" in err

    def test_a_version_without_its_manifest_is_refused(self, gradient, bucket, stored):
        for item in (bucket / "p/v1/manifests").rglob("*"):
            if item.is_file():
                item.unlink()
        code, _, err = gradient("dataset", "verify", "Digits")
        assert code == 2
        assert "is not in the storage" in err


class TestExport:
    def test_the_archive_holds_the_files(self, gradient, stored, tmp_path):
        code, out, err = gradient("dataset", "export", "Digits", str(tmp_path / "x.tar"))
        assert (code, out) == (0, "")
        assert "Exported Digits:" in err
        (tmp_path / "back").mkdir()
        subprocess.run(["tar", "-xf", tmp_path / "x.tar", "-C", tmp_path / "back"], check=True)
        assert (tmp_path / "back/a.txt").read_text() == "one"

    def test_half_an_archive_is_not_left_behind(self, gradient, bucket, stored, tmp_path):
        for blob in (bucket / "p/v1/segments").rglob("*"):
            if blob.is_file():
                blob.write_bytes(b"x" * blob.stat().st_size)
        code, _, err = gradient("dataset", "export", "Digits", str(tmp_path / "x.tar"))
        assert code == 2
        assert "does not hold the bytes" in err
        assert not (tmp_path / "x.tar").exists()

    def test_a_file_that_exists_is_not_overwritten(self, gradient, stored, tmp_path):
        (tmp_path / "x.tar").write_text("precious")
        code, _, err = gradient("dataset", "export", "Digits", str(tmp_path / "x.tar"))
        assert code == 2
        assert "exists already" in err
        assert (tmp_path / "x.tar").read_text() == "precious"

    def test_plain_objects_are_written_below_a_prefix_that_is_empty(self, gradient, bucket, stored):
        code, out, err = gradient("dataset", "export", "Digits", "s3://other/to/here")
        assert (code, out) == (1, "")
        assert "left out  link is a link" in err
        assert "(2 files, 2.9 MiB) to s3://other/to/here." in err
        found = bucket / "other/to/here"
        assert (found / "a.txt").read_text() == "one"
        assert (found / "deep/b.bin").read_bytes() == (stored / "deep/b.bin").read_bytes()
        code, _, err = gradient("dataset", "export", "Digits", "s3://other/to")
        assert code == 2
        assert "holds objects already: give a prefix that holds none" in err

    @pytest.mark.parametrize("place", ["s3://", "s3://ab/x", "s3://bucket/a//b", "s3://bucket/.."])
    def test_what_is_no_bucket_is_refused(self, gradient, stored, place):
        code, _, err = gradient("dataset", "export", "Digits", place)
        assert code == 2
        assert "write s3://bucket/folder" in err


class TestImport:
    def test_an_exported_archive_becomes_the_same_version(self, gradient, client, stored, tmp_path):
        gradient("dataset", "export", "Digits", str(tmp_path / "x.tar"))
        code, out, err = gradient("dataset", "import", str(tmp_path / "x.tar"), "Copy")
        assert code == 0, err
        specs = [item["spec"] for item in client.of(DATASET_VERSIONS).values()]
        assert len({spec["digest"] for spec in specs}) == 1
        assert f"imported from {tmp_path}/x.tar" in [spec.get("message") for spec in specs]
        assert f"Stored {tmp_path}/x.tar as Copy:" in out

    def test_an_archive_that_leads_outside_is_refused(self, gradient, bucket, client, tmp_path):
        with tarfile.open(tmp_path / "x.tar", "w") as archive:
            archive.addfile(tarfile.TarInfo("../../evil"), None)
        code, _, err = gradient("dataset", "import", str(tmp_path / "x.tar"), "Copy")
        assert code == 2
        assert "cannot be read as a tar archive" in err
        assert not client.of(DATASET_VERSIONS)

    def test_what_is_no_archive_is_refused(self, gradient, bucket, tmp_path):
        (tmp_path / "x.tar").write_text("no archive")
        for name in ("x.tar", "none.tar"):
            code, _, err = gradient("dataset", "import", str(tmp_path / name), "Copy")
            assert code == 2
            assert "cannot be read as a tar archive" in err


class TestParts:
    def test_cat_writes_one_file(self, gradient, stored):
        assert gradient("dataset", "cat", "Digits", "./a.txt") == (0, "one", "")
        code, out, err = gradient("dataset", "cat", "Digits:latest", "none")
        assert (code, out) == (2, "")
        assert "holds no file 'none'" in err

    def test_get_takes_paths(self, gradient, stored, tmp_path):
        code, out, _ = gradient("dataset", "get", "Digits", str(tmp_path / "to"), "deep", "link")
        assert code == 0
        assert "Downloaded a part of Digits:" in out
        assert "(1 file, 2.9 MiB)" in out
        assert {path.name for path in (tmp_path / "to").rglob("*")} == {"deep", "b.bin", "link"}

    def test_get_of_a_path_that_is_not_there_leaves_nothing(self, gradient, stored, tmp_path):
        code, _, err = gradient("dataset", "get", "Digits", str(tmp_path / "to"), "deep", "de")
        assert code == 2
        assert "holds no 'de'" in err
        assert not (tmp_path / "to").exists()


def version(client, dataset, letter, *, inputs=(), namespace="team", **origin):
    spec = {"dataset": dataset, "version": letter * 12, "digest": "0" * 64, "bytes": 5, "files": 1}
    client.add(
        DATASET_VERSIONS,
        {
            "metadata": {
                "name": f"{dataset}-{letter * 12}",
                "labels": {"gradient.run/dataset": dataset},
            },
            "spec": spec | {"origin": {**origin, "inputs": list(inputs)}},
        },
        namespace=namespace,
    )
    return f"{namespace}/{dataset}:{letter * 12}"


class TestLineage:
    @pytest.fixture
    def chain(self, client):
        """raw (put) -> clean -> model, and a report in another namespace."""
        raw = version(client, "raw", "a")
        clean = version(
            client, "clean", "b", inputs=[raw], run="prepare-1", job="clean", output="out"
        )
        version(client, "model", "c", inputs=[clean], run="train-1", job="fit", output="m")
        lost = "team/lost:" + "e" * 12
        version(client, "report", "d", inputs=[clean, lost], namespace="lab", run="r", job="j")
        client.add(DATASETS, {"metadata": {"name": "clean"}, "spec": {"readableFrom": ["lab"]}})
        client.add(DATASETS, {"metadata": {"name": "raw"}, "spec": {}})
        client.add(DATASETS, {"metadata": {"name": "report"}, "spec": {}}, namespace="lab")
        pinned = {"dataset": "clean", "namespace": "team", "version": "b" * 12}
        run = run_object("train-1", phase="Succeeded", inputs={"clean": pinned})
        client.add(RUNS, run)
        client.add(RUNS, run_object("other", phase="Running", inputs={}))

    def test_it_goes_both_ways(self, gradient, chain):
        code, out, _ = gradient("dataset", "lineage", "clean:" + "b" * 12)
        assert code == 0
        lines = out.splitlines()
        assert lines[0].startswith("team/clean:bbbbbbbbbbbb  (1 file, 5 B)")
        assert lines[1] == "made by  run prepare-1, job clean, output out"
        assert lines[2].startswith(
            "made of  team/raw:aaaaaaaaaaaa  (1 file, 5 B), made by gradient"
        )
        assert lines[3].startswith("became   team/model:cccccccccccc")
        assert lines[4].startswith("         lab/report:dddddddddddd")
        assert lines[5].startswith("read by  team/train-1  Succeeded")
        assert len(lines) == 6

    def test_it_follows_more_than_one_step(self, gradient, chain):
        out = gradient("dataset", "lineage", "raw:" + "a" * 12)[1]
        assert "became   team/clean:bbbbbbbbbbbb" in out
        assert "           team/model:cccccccccccc" in out
        assert "read by  no run that still exists" in out

    def test_a_deleted_source_keeps_its_name(self, gradient, chain):
        out = gradient("dataset", "lineage", "lab/report:" + "d" * 12)[1]
        assert "team/lost:eeeeeeeeeeee  , which was deleted" in out
        assert "  team/raw:aaaaaaaaaaaa" in out

    def test_a_closed_namespace_is_named(self, gradient, client, chain, monkeypatch):
        listing = client.list_all

        async def guarded(resource, *, namespace=None, **options):
            if namespace == "lab":
                raise Forbidden("no")
            return await listing(resource, namespace=namespace, **options)

        monkeypatch.setattr(client, "list_all", guarded)
        out = gradient("dataset", "lineage", "clean:" + "b" * 12)[1]
        assert "namespace lab may read it too" in out
