"""What kube-scheduler says of a Pod without a node, in plain words, one line per kind of node.

Its sentence counts nodes by what keeps the Pod from them: `0/3 nodes are available: 1 Insufficient
cpu, 2 node(s) didn't match Pod's node affinity/selector.` (Kubernetes 1.29 to 1.34).
"""

import re
from typing import Final

_WHOLE: Final = re.compile(r"^0/\d+ nodes are available: (?P<parts>.*)$", re.DOTALL)
_END: Final = re.compile(r"\.?\s*(no new claims to deallocate, )?preemption:.*$", re.DOTALL)
_PART: Final = re.compile(r"^(?P<count>\d+) (?P<said>.+)$", re.DOTALL)
_PLAIN: Final = (
    (re.compile(r"^Insufficient (\S+)$"), r"not enough \1 free"),
    (re.compile(r"^Too many pods$"), "as many Pods as the node takes"),
    (
        re.compile(r"^node\(s\) didn't match Pod's node affinity/selector$"),
        "not of the machine type's node selector",
    ),
    (
        re.compile(r"^node\(s\) had untolerated taint \{(?P<taint>[^}]*?):? *\}$"),
        r"a taint that the machine type does not tolerate: \g<taint>",
    ),
    (re.compile(r"^node\(s\) were unschedulable$"), "cordoned (kubectl uncordon)"),
    (re.compile(r"^node\(s\) were not ready$"), "not ready"),
    (
        re.compile(
            r"^node\(s\) (had volume node affinity conflict"
            r"|didn't match PersistentVolume's node affinity)$"
        ),
        "the volume is on another node",
    ),
    (
        re.compile(r"^node\(s\) didn't find available persistent volumes to bind$"),
        "no volume that the claim could get",
    ),
    (
        re.compile(r"^node\(s\) didn't match pod affinity rules$"),
        "not the node of the jobs that share its volume",
    ),
)


def plain(said: str) -> list[str]:
    """The lines; what is not recognised stays as it is."""
    whole = _WHOLE.match(_END.sub("", said.strip()))
    if whole is None:
        return [_END.sub("", said.strip()).rstrip(".")]
    return [_line(part.strip().rstrip(".")) for part in _split(whole["parts"])]


def _split(parts: str) -> list[str]:
    """At commas that a count follows: taints may hold others."""
    return re.split(r", (?=\d+ )", parts)


def _line(part: str) -> str:
    found = _PART.match(part)
    if found is None:
        return part
    count, text = found["count"], found["said"]
    for pattern, words in _PLAIN:
        if pattern.match(text):
            text = pattern.sub(words, text)
            break
    return f"{count} node{'' if count == '1' else 's'}: {text.removeprefix('node(s) ')}"
