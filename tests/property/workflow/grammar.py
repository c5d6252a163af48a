"""Files from the grammar of the format: valid ones by construction, and ways to break each."""

import copy
from typing import Any

from hypothesis import strategies as st

JOBS = ("Clone", "prepare-data", "Train2", "EfficientNet-B2")
SLOTS = ("repo", "my_data", "note")
TEXT = st.sampled_from(["x", "", "$HOME $(X) $$", "ünï\ncode ", "${{ not.ours }}", "secret:KEY"])
MACHINES = st.sampled_from(["C4", "C5", "P4000"])
REFERENCES = st.sampled_from(["pets", "pets:v1", "pets:latest", "ds0123456789abc", "team/pets"])
File = dict[str, Any]


def declared(kind: str, name: str) -> dict[str, Any]:
    """An output of a type."""
    return {"type": kind, **({"with": {"ref": f"{name}-data"}} if kind == "dataset" else {})}


@st.composite
def actions(draw: st.DrawFn, outputs: dict[str, Any]) -> dict[str, Any]:
    """`uses` and `with` of a job with these outputs."""
    args = st.lists(TEXT, max_size=3)
    choices: list[st.SearchStrategy[dict[str, Any]]] = [
        st.fixed_dictionaries({"image": st.just("bash:5"), "script": TEXT.filter(bool)}).map(
            lambda given: {"uses": "script@v1", "with": given}
        ),
        st.fixed_dictionaries(
            {"image": st.sampled_from(["bash:5", "https://r.example.org/x:1"])},
            optional={"args": args, "command": st.just("bash") | st.just(["bash", "-c"])},
        ).map(lambda given: {"uses": "container@v1", "with": given}),
        st.just({"with": {"image": "bash:5", "args": ["true"]}}),
    ]
    places = [name for name, output in outputs.items() if output["type"] != "string"]
    if places:
        path = st.sampled_from([f"/outputs/{places[0]}", f"outputs/{places[0]}/sub/"])
        where = {"path": path} if len(places) > 1 else {}
        more = {} if where else {"path": path}
        choices += [
            st.fixed_dictionaries(
                {"url": st.sampled_from(["https://x/y.git", "$URL", "context.event.github.url"])}
                | where,
                optional={"ref": TEXT, "branch": TEXT, "password": st.just("secret:T")} | more,
            ).map(lambda given: {"uses": "git-checkout@v1", "with": given}),
            st.fixed_dictionaries(
                {"url": st.sampled_from(["s3://b", "s3://b/p/", "$DATA"])} | where,
                optional={"region": TEXT, "endpoint": TEXT} | more,
            ).map(lambda given: {"uses": "s3-download@v1", "with": given}),
        ]
    found: dict[str, Any] = draw(st.one_of(choices))
    return found


@st.composite
def files(draw: st.DrawFn) -> File:
    """A valid file: up to four jobs, in any order, with the needs that their inputs call for."""
    jobs: dict[str, Any] = {}
    for index in range(draw(st.integers(1, len(JOBS)))):
        before = [name for name in JOBS[:index] if draw(st.booleans())]
        jobs[JOBS[index]] = draw(job(jobs, before))
    names = draw(st.permutations(sorted(jobs)))
    file: File = {"jobs": {name: jobs[name] for name in names}}
    if draw(st.booleans()):
        file["on"] = {"github": {"branches": {"only": "main"}}}
    file["defaults"] = {"env": draw(st.dictionaries(st.sampled_from(["A", "_b"]), TEXT))}
    file["inputs"] = {
        "text": {"type": "string", "with": {"value": draw(TEXT)}},
        "data": {"type": "dataset", "with": {"ref": draw(REFERENCES)}},
        "perhaps": {"type": "dataset", "optional": True},
    }
    file["context"] = {"event": {"github": {"url": "https://x/y", "ref": "c0ffee"}}}
    return file


@st.composite
def job(draw: st.DrawFn, jobs: dict[str, Any], before: list[str]) -> dict[str, Any]:
    """A job that needs the ones before it, and takes from them and from elsewhere."""
    kinds = st.sampled_from(["dataset", "string", "volume"])
    outputs = {
        name: declared(draw(kinds), name.replace("_", "-")) for name in SLOTS if draw(st.booleans())
    }
    sources = [f"{name}.outputs.{slot}" for name in before for slot in jobs[name]["outputs"]]
    sources += ["workflow.inputs.text", "workflow.inputs.data", "workflow.inputs.perhaps"]
    inline = st.one_of(
        REFERENCES.map(lambda ref: {"type": "dataset", "with": {"ref": ref}}),
        REFERENCES.map(lambda ref: {"type": "dataset", "with": {"id": ref}}),
        TEXT.map(lambda text: {"type": "string", "with": {"value": text}}),
    )
    inputs = draw(st.dictionaries(st.sampled_from(SLOTS), st.sampled_from(sources) | inline))
    # A source that is not among the needs is taken as one.
    needs = [name for name in before if draw(st.booleans())]
    return {
        "resources": {"instance-type": draw(MACHINES)},
        "needs": needs,
        "inputs": inputs,
        "outputs": outputs,
        "env": draw(st.dictionaries(st.sampled_from(["A", "N"]), TEXT)),
        **draw(actions(outputs)),
    }


def _any_job(file: File) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(file["jobs"].values()))
    return found


BREAKS = {
    "an unknown need": lambda file: _any_job(file)["needs"].append("nobody"),
    "a need of its own": lambda file: _any_job(file)["needs"].append(next(iter(file["jobs"]))),
    "no machine": lambda file: _any_job(file).pop("resources"),
    "an unknown action": lambda file: _any_job(file).update(uses="script@v9"),
    "an unknown key": lambda file: _any_job(file).update(ouputs={}),
    "an unknown key at the top": lambda file: file.update(name="mine"),
    "a reference to nothing": lambda file: _any_job(file)["inputs"].update(x="nobody.outputs.x"),
    "no reference at all": lambda file: _any_job(file)["inputs"].update(x="a.b.c.d"),
    "a dataset without a name": lambda file: _any_job(file)["outputs"].update(
        x={"type": "dataset"}
    ),
    "an unknown type": lambda file: _any_job(file)["outputs"].update(x={"type": "model"}),
    "a number as text": lambda file: _any_job(file)["env"].update(A=1),
    "no address": lambda file: _any_job(file).update(uses="git-checkout@v1", **{"with": {}}),
    "a list as script": lambda file: _any_job(file)["with"].update(script=["echo"]),
    "a job that needs what needs it": lambda file: file["jobs"].update(
        ping={**copy.deepcopy(_any_job(file)), "needs": ["pong"], "inputs": {}},
        pong={**copy.deepcopy(_any_job(file)), "needs": ["ping"], "inputs": {}},
    ),
}
"""Each makes any valid file invalid."""
