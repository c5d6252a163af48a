"""`gradient dataset provenance`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradient_operator.cli.dataset.access import endpoint_option, open_store
from gradient_operator.cli.errors import CommandError, ExitCode
from gradient_operator.cli.options import Target, output_option, target_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_operator.cli.dataset.lookup import Found as Version
    from gradient_operator.datasets.signing import Verifier
    from gradient_operator.datasets.statements import Found


@click.command(name="provenance")
@click.argument("reference", metavar="NAME[:VERSION|:TAG]")
@click.option("--verify", is_flag=True, help="Trust only what one of the keys has signed.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="PUBLIC.pem",
    help="A public key to verify with; several while keys are changed.",
)
@output_option
@endpoint_option
@target_options
def command(
    *,
    reference: str,
    verify: bool,
    keys: tuple[Path, ...],
    output: str,
    endpoint: str | None,
    target: Target,
) -> int:
    """Show how a version was made: run, image digests, inputs, git commit.

    Everything that made this content is shown, from the statements in the bucket. It ends with 1
    if there is none; with --verify, if none is signed by one of the keys.
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.dataset.files import locate
    from gradient_operator.datasets.statements import find_statements

    verifier = _verifier(keys, verify=verify)
    version, storage = run_async(locate(reference, target))
    with open_store(storage, endpoint=endpoint, target=target) as store:
        found = list(find_statements(store, version.digest, _subject(version), verifier))
    told = [each for each in found if each.body is not None]
    if output == "json":
        click.echo(json.dumps([_as_dict(each) for each in told], indent=2))
    else:
        click.echo(f"{version.name}  sha256:{version.digest}")
        for each in told:
            click.echo("\n".join(("", *lines(each))))
    for each in found:
        if each.body is None:
            click.echo(f"not trusted  {each.key}: {each.problem}.", err=True)
    if told:
        return ExitCode.SUCCEEDED
    click.echo(_nothing(version, verify=verify), err=True)
    return ExitCode.FAILED


def _verifier(keys: tuple[Path, ...], *, verify: bool) -> Verifier | None:
    from gradient_operator.datasets.signing import Verifier

    if verify is not bool(keys):
        raise CommandError("--verify and --key PUBLIC.pem belong together: give both, or neither.")
    return Verifier.load(path.read_bytes() for path in keys) if keys else None


def _subject(version: Version) -> str:
    metadata = version.dataset["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}:{version.version}"


def _nothing(version: Version, *, verify: bool) -> str:
    if verify:
        return f"Nothing about {version.name} is signed by a key that was given."
    return (
        f"Nothing is told of {version.name}. The operator writes it within seconds of a commit; "
        "for a provider of a namespace the collector does (docs/data.md)."
    )


def _as_dict(found: Found) -> dict[str, Any]:
    return {
        "object": found.key,
        "signed": bool(found.key_ids),
        "verified": found.verified,
        "keys": list(found.key_ids),
        "statement": found.body,
    }


def lines(found: Found) -> Iterator[str]:
    """What a person is told of one making. Statements are other people's text: nothing is sure."""
    from gradient_operator.cli.output.text import one_line

    for title, text in _facts(_Loose(found.body)):
        shown = one_line(str(text))
        if shown:
            yield f"{title:<9} {''.join(c if c.isprintable() else '?' for c in shown)}"
    if found.verified:
        yield f"signed    by key {found.key_ids[0][:16]}, verified"
    elif found.key_ids:
        yield f"signed    by key {found.key_ids[0][:16]}, not verified"


class _Loose:
    """A value of JSON that need not be what it should be."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __getitem__(self, key: str) -> _Loose:
        return _Loose(self.value.get(key) if isinstance(self.value, dict) else None)

    def __iter__(self) -> Iterator[_Loose]:
        return iter([_Loose(item) for item in self.value] if isinstance(self.value, list) else [])

    def __str__(self) -> str:
        return "" if self.value is None else str(self.value)


def _facts(statement: _Loose) -> Iterator[tuple[str, str]]:
    build = statement["predicate"]["buildDefinition"]
    details = statement["predicate"]["runDetails"]
    asked, times = build["externalParameters"], details["metadata"]
    if str(asked["run"]):
        attempt = str(build["internalParameters"]["attempt"]) or "?"
        yield (
            "made by",
            f"run {asked['run']}, job {asked['job']}, output {asked['output']}, attempt {attempt}",
        )
        yield "workflow", str(asked["workflow"])
    else:
        yield "made by", f"gradient dataset put: {str(asked['message']) or 'no message'}"
    yield "when", " to ".join(filter(None, (str(times["startedOn"]), str(times["finishedOn"]))))
    for item in (*build["resolvedDependencies"], *details["builder"]["builderDependencies"]):
        yield "from", f"{item['name']}  {_where(item)}"
    yield "spec", str(asked["specDigest"]["sha256"])
    yield "builder", str(details["builder"]["id"])


def _where(item: _Loose) -> str:
    digest = str(item["digest"]["sha256"])
    return str(item["uri"]) or (f"sha256:{digest}" if digest else str(item["digest"]["gitCommit"]))
