"""A second reader of versions, written from docs/data.md alone: it imports nothing of the project.

`restore(get, digest, folder)` makes a version again, given a function that gets an object below
`<prefix>/v1/`. What it is for is to be short: it holds whole files, and trusts the disk.
"""

import base64
import hashlib
import io
import json
import os

import zstandard

SEGMENT = 16 * 1024 * 1024
HEADER = b'{"chunking":"fixed:16777216","manifest":1}'


def restore(get, digest, folder):
    """Write the version whose manifest has this digest into a new folder."""
    entries, locators = sections(get(f"manifests/sha256/{digest}"), digest)
    os.mkdir(folder)
    places = iter(locators)
    links, known = [], {b""}
    for entry in entries:
        path = field(entry, "p")
        check(path, known)
        target = os.path.join(os.fsencode(folder), path)
        if entry["t"] == "d":
            os.mkdir(target)
            known.add(path)
        elif entry["t"] == "l":
            links.append((field(entry, "l"), target))
        else:
            data = content(get, entry, json.loads(next(places)) if entry["s"] else None)
            with open(target, "xb") as file:
                file.write(data)
            os.chmod(target, 0o755 if entry.get("x") else 0o644)
    for link, target in links:  # last, so that nothing is written through one
        os.symlink(link, target)


def sections(data, digest):
    """The entries and the locator lines of a manifest, checked against its digest."""
    with zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO(data), read_across_frames=True
    ) as reader:
        text = reader.read()
    head, _, tail = text.partition(b"\n\n")
    body = head + b"\n"
    if hashlib.sha256(body).hexdigest() != digest:
        raise ValueError("the manifest has another digest")
    lines = body.split(b"\n")[:-1]
    if lines[0] != HEADER:
        raise ValueError("an unknown format")
    return [json.loads(line) for line in lines[1:]], tail.split(b"\n")[:-1]


def field(entry, name):
    """A path or target: text, or base64 where it is no UTF-8."""
    return entry[name].encode() if name in entry else base64.b64decode(entry[f"{name}b"])


def check(path, known):
    """Refuse what leads out of the folder, or through something that is no listed directory."""
    parts = path.split(b"/")
    if any(part in {b"", b".", b".."} or b"\0" in part for part in parts):
        raise ValueError(f"a path that is none: {path!r}")
    if b"/".join(parts[:-1]) not in known:
        raise ValueError(f"a path below something that is no directory: {path!r}")


def content(get, entry, place):
    """The bytes of a file, checked against its digest."""
    if place is None:
        data = b""
    elif "in" in place:
        pack = get(f"packs/sha256/{place['in'][:2]}/{place['in']}")
        data = pack[place["o"] : place["o"] + entry["s"]]
    else:
        data = b"".join(get(f"segments/sha256/{seg[:2]}/{seg}") for seg in place["seg"])
    if len(data) != entry["s"] or file_digest(data) != entry["d"]:
        raise ValueError("a file's bytes are not those of the version")
    return data


def file_digest(data):
    """SHA-256; of a file longer than one segment, SHA-256 over its segments' raw digests."""
    if len(data) <= SEGMENT:
        return hashlib.sha256(data).hexdigest()
    pieces = [data[start : start + SEGMENT] for start in range(0, len(data), SEGMENT)]
    joined = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
    return f"t16:{hashlib.sha256(joined).hexdigest()}"
