from __future__ import annotations

import hashlib
import json

import pytest

from gradient_operator.datasets.entries import (
    DirectoryEntry,
    FileEntry,
    LinkEntry,
    PackedAt,
    SegmentedAt,
    decode_entry,
    decode_locator,
    encode_entry,
    encode_locator,
)
from gradient_operator.datasets.errors import ManifestError
from gradient_operator.datasets.layout import EMPTY_SHA256, PACK_BYTES, SEGMENT_BYTES, tree_digest

DIGEST = hashlib.sha256(b"abc").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def file(size: int = 3, digest: str = DIGEST) -> FileEntry:
    return FileEntry(b"f", size, digest, executable=False)


def test_encoding_is_the_documented_one() -> None:
    executable = FileEntry("ä".encode(), 3, DIGEST, executable=True)

    assert encode_entry(executable).decode() == (
        f'{{"d":"{DIGEST}","p":"ä","s":3,"t":"f","x":1}}\n'
    )
    assert encode_entry(DirectoryEntry(b"a/b")) == b'{"p":"a/b","t":"d"}\n'
    assert encode_entry(LinkEntry(b"l", b"../x")) == b'{"l":"../x","p":"l","t":"l"}\n'
    assert encode_entry(DirectoryEntry(b"\xff")) == b'{"pb":"/w==","t":"d"}\n'
    assert encode_locator(PackedAt(DIGEST, 7)).decode() == f'{{"in":"{DIGEST}","o":7}}\n'
    assert encode_locator(SegmentedAt((DIGEST,))).decode() == f'{{"seg":["{DIGEST}"]}}\n'


@pytest.mark.parametrize(
    "entry",
    [
        file(),
        FileEntry(b'run "quoted" \\ \n\t\x01', 0, EMPTY_SHA256, executable=True),
        DirectoryEntry("emoji 🎉".encode()),
        DirectoryEntry(b"\xf0\x28\x8c\x28"),
        LinkEntry(b"l", b"\xfe\xff"),
        FileEntry(b"big", SEGMENT_BYTES + 1, "t16:" + DIGEST, executable=False),
    ],
)
def test_entry_survives_its_own_line(entry: FileEntry | DirectoryEntry | LinkEntry) -> None:
    line = encode_entry(entry)

    assert line.count(b"\n") == 1
    assert decode_entry(line[:-1]) == entry
    json.loads(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[]",
        "3",
        '"t"',
        "{",
        "[" * 50_000,
        '{"p":"a","t":"z"}',
        '{"p":3,"t":"d"}',
        '{"p":"../a","t":"d"}',
        '{"p":"/a","t":"d"}',
        '{"p":"a/../../b","t":"d"}',
        '{"p":"a\\u0000b","t":"d"}',
        '{"p":"\\ud800","t":"d"}',
        '{"pb":"!!","t":"d"}',
        '{"pb":"YQ==","t":"d"}',  # UTF-8 after all: a second spelling
        '{"p":"\\u0061","t":"d"}',
        '{"t":"d","p":"a"}',
        '{"p":"a", "t":"d"}',
        '{"p":"a","p":"b","t":"d"}',
        '{"p":"a","t":"d","z":1}',
        '{"l":"","p":"a","t":"l"}',
        '{"p":"a","t":"l"}',
        f'{{"d":"{DIGEST}","p":"a","s":-1,"t":"f"}}',
        f'{{"d":"{DIGEST}","p":"a","s":1.0,"t":"f"}}',
        f'{{"d":"{DIGEST}","p":"a","s":true,"t":"f"}}',
        f'{{"d":"{DIGEST}","p":"a","s":0,"t":"f"}}',
        f'{{"d":"{EMPTY_SHA256}","p":"a","s":1,"t":"f"}}',
        f'{{"d":"{DIGEST.upper()}","p":"a","s":1,"t":"f"}}',
        f'{{"d":"t16:{DIGEST}","p":"a","s":1,"t":"f"}}',
        f'{{"d":"{DIGEST}","p":"a","s":16777217,"t":"f"}}',
        f'{{"d":"{DIGEST}","p":"a","s":1{"0" * 30},"t":"f"}}',
        f'{{"d":"{DIGEST}","p":"a","s":1,"t":"f","x":0}}',
        f'{{"d":["{DIGEST}"],"p":"a","s":1,"t":"f"}}',
    ],
)
def test_line_that_is_not_canonical_is_refused(line: str) -> None:
    with pytest.raises(ManifestError):
        decode_entry(line.encode())


def test_other_encodings_of_json_are_refused() -> None:
    with pytest.raises(ManifestError):
        decode_entry('{"p":"a","t":"d"}'.encode("utf-16"))


def test_locator_survives_its_own_line() -> None:
    packed = PackedAt(OTHER, 12)
    segments = (DIGEST, OTHER)
    long = file(SEGMENT_BYTES + 1, tree_digest(bytes.fromhex(DIGEST + OTHER)))

    assert decode_locator(encode_locator(packed)[:-1], file()) == packed
    assert decode_locator(encode_locator(SegmentedAt((DIGEST,)))[:-1], file()).segments == (DIGEST,)
    assert decode_locator(encode_locator(SegmentedAt(segments))[:-1], long).segments == segments


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "7",
        '"in"',
        f'{{"in":"{DIGEST}"}}',
        f'{{"in":"{DIGEST}","o":-1}}',
        f'{{"in":"{DIGEST}","o":1.5}}',
        f'{{"in":"{DIGEST}","o":true}}',
        f'{{"in":"{DIGEST}","o":{PACK_BYTES}}}',
        '{"in":"../../etc","o":0}',
        '{"seg":[]}',
        '{"seg":3}',
        '{"seg":"abc"}',
        f'{{"seg":["{OTHER}"]}}',
        f'{{"seg":["{DIGEST}","{DIGEST}"]}}',
        '{"seg":["../x"]}',
    ],
)
def test_locator_that_cannot_be_true_is_refused(line: str) -> None:
    with pytest.raises(ManifestError):
        decode_locator(line.encode(), file())


def test_segments_must_make_up_the_digest_of_a_long_file() -> None:
    long = file(SEGMENT_BYTES + 1, tree_digest(bytes.fromhex(DIGEST + OTHER)))

    with pytest.raises(ManifestError):
        decode_locator(encode_locator(SegmentedAt((OTHER, DIGEST)))[:-1], long)
