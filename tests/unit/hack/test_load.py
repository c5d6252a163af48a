"""Nodes get the images that they lack, under all names, and no others."""

from __future__ import annotations

from hack.images import load
from hack.images.oci import MANIFEST, Descriptor, Image

LISTING = """\
REF                 TYPE                                       DIGEST     SIZE    PLATFORMS LABELS
localhost/pause:1   application/vnd.oci.image.manifest.v1+json sha256:aaa 1.2 MiB linux/arm io.cri
localhost/busybox:1 application/vnd.oci.image.manifest.v1+json sha256:bbb 2.0 MiB linux/arm -
"""


def image(digest: str, *names: str) -> Image:
    return Image(names=names, manifest=Descriptor(MANIFEST, digest, 1), blobs=())


def test_parse_images_reads_names_and_digests():
    assert load.parse_images(LISTING) == {
        "localhost/pause:1": "sha256:aaa",
        "localhost/busybox:1": "sha256:bbb",
    }


def test_parse_images_of_an_empty_node():
    assert load.parse_images("REF TYPE DIGEST\n") == {}


def test_missing_images_skips_what_is_there_with_the_same_content():
    present = load.parse_images(LISTING)
    same = image("sha256:aaa", "localhost/pause:1")
    changed = image("sha256:ccc", "localhost/busybox:1")
    renamed = image("sha256:bbb", "localhost/busybox:1", "docker.io/library/busybox:1")
    assert load.missing_images(present, [same, changed, renamed]) == [changed, renamed]
