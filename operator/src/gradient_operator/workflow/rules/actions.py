"""Rules about what a job runs, and the parameters of actions."""

from typing import Final

from gradient_operator.workflow.rules.model import Rule

_RIGHT: Final = """\
jobs:
  Train:
    resources: {instance-type: P4000}
    uses: script@v1
    with:
      image: python:3.12
      script: python train.py
"""
_CHECKOUT: Final = """\
jobs:
  Clone:
    resources: {instance-type: C4}
    outputs:
      code: {type: volume}
    uses: git-checkout@v1
    with:
      url: https://github.com/example/flowers
  Train:
    needs: [Clone]
    resources: {instance-type: P4000}
    inputs:
      code: Clone.outputs.code
    uses: script@v1
    with:
      image: python:3.12
      script: python /inputs/code/train.py
"""
_DOWNLOAD: Final = """\
jobs:
  Fetch:
    resources: {instance-type: C4}
    outputs:
      images: {type: dataset, with: {ref: flowers}}
    uses: s3-download@v1
    with:
      url: s3://example-flowers/images/
      access-key: secret:S3_ID
      secret-access-key: secret:S3_KEY
"""
_MODEL: Final = """\
jobs:
  Register:
    resources: {instance-type: C4}
    inputs:
      model: {type: dataset, with: {ref: flowers-model}}
    outputs:
      model-id: {type: string}
    uses: create-model@v1
    with:
      name: flowers
      type: Tensorflow
"""

RULES: Final = (
    Rule(
        id="no-action",
        severity="error",
        title="A job does not say what it does",
        why="`uses` names the action: `script@v1`, `container@v1`, `git-checkout@v1`, "
        "`s3-download@v1` or `create-model@v1`.",
        wrong=_RIGHT.replace("    uses: script@v1\n", "").partition("    with")[0],
        right=_RIGHT,
    ),
    Rule(
        id="implicit-action",
        severity="warning",
        title="A job leaves open what it does, and its parameters tell",
        why="With `script` it is `script@v1`, with an `image` alone `container@v1`: the hosted "
        "service's own pages showed such jobs. Say it under `uses`.",
        wrong=_RIGHT.replace("    uses: script@v1\n", ""),
        right=_RIGHT,
    ),
    Rule(
        id="unknown-action",
        severity="error",
        title="`uses` names an action that does not exist",
        why="There are five, and actions of GitHub are none. The message names the nearest.",
        wrong=_RIGHT.replace("script@v1", "script@v2"),
        right=_RIGHT,
    ),
    Rule(
        id="unknown-parameter",
        severity="error",
        title="A parameter belongs to another action",
        why="It would change nothing: a `script` does not run in `container@v1`, nor do `args` "
        "in `script@v1`. Take the action that has the parameter, or remove it.",
        wrong=_RIGHT.replace("python train.py", "python train.py\n      args: [--fast]"),
        right=_RIGHT,
    ),
    Rule(
        id="missing-parameter",
        severity="error",
        title="A parameter is missing that the action cannot do without",
        why="`script@v1` needs a `script`, `container@v1` an `image`, "
        "`git-checkout@v1` and `s3-download@v1` a `url`, `create-model@v1` a `name` and a `type`. "
        "Keys of a bucket come in pairs.",
        wrong=_RIGHT.replace("      script: python train.py\n", ""),
        right=_RIGHT,
    ),
    Rule(
        id="no-image",
        severity="warning",
        title="A script names no image",
        why="It runs in the image that the operator is configured with (`defaultImage`, a small "
        "one with bash), which hardly has the programs that it calls. Name one under `with.image`.",
        wrong=_RIGHT.replace("      image: python:3.12\n", ""),
        right=_RIGHT,
    ),
    Rule(
        id="misplaced-image",
        severity="warning",
        title="The image stands beside `with`",
        why="It is a parameter of the action: indent it below `with`. It is taken from here where "
        "`with` has none.",
        wrong=_RIGHT.replace("      image: python:3.12\n", "") + "    image: python:3.12\n",
        right=_RIGHT,
    ),
    Rule(
        id="no-path",
        severity="error",
        title="There are several outputs to fill, or none",
        why="The action fills the one volume or dataset among the job's outputs. With several, "
        "say which under `with.path`, as `/outputs/code`; with none, declare one.",
        wrong=_CHECKOUT.replace(
            "      code: {type: volume}\n",
            "      code: {type: volume}\n      copy: {type: dataset, with: {ref: flowers-code}}\n",
        ),
        right=_CHECKOUT,
    ),
    Rule(
        id="registry-name",
        severity="warning",
        title="A registry has a name that no Secret can have",
        why="The credentials of a registry are a Secret of the namespace, and the names of Secrets "
        "are lower-case. The message says what the Secret is called; or rename the registry.",
        wrong=_RIGHT.replace("P4000}", "P4000, container-registries: [My Hub]}"),
        right=_RIGHT.replace("P4000}", "P4000, container-registries: [my-hub]}"),
    ),
    Rule(
        id="path-outside",
        severity="warning",
        title="Files go where no volume or dataset is",
        why="What lies outside `/outputs/NAME` of a declared volume or dataset is lost when the "
        "job ends. Volumes among the inputs, and `/storage`, may be written too.",
        wrong=_CHECKOUT.replace("/flowers\n", "/flowers\n      path: /outputs/flowers\n"),
        right=_CHECKOUT.replace("/flowers\n", "/flowers\n      path: /outputs/code/flowers\n"),
    ),
    Rule(
        id="bad-url",
        severity="error",
        title="`s3-download@v1` is given another kind of address",
        why="It copies from buckets: `s3://bucket/folder/` is what lies below the folder, "
        "`s3://bucket/file` that object. The server, where it is not AWS, is named by `endpoint`.",
        wrong=_DOWNLOAD.replace("s3://example-flowers", "https://example-flowers.s3.example.com"),
        right=_DOWNLOAD,
    ),
    Rule(
        id="literal-secret",
        severity="warning",
        title="A password or secret key stands in the file",
        why="Everybody who may read the file, or the run, may read it. Put it into the Secret "
        "`gradient-secrets` of the namespace and write `secret:KEY` here.",
        wrong=_DOWNLOAD.replace("secret:S3_KEY", "not-really-a-key"),
        right=_DOWNLOAD,
    ),
    Rule(
        id="no-event",
        severity="error",
        title="The file asks for the push that started the run, but none did",
        why="`context.event.github.url` and `.ref` are those of a push. For a run that is "
        "started otherwise write url and ref themselves, or let `gradient run` take them from the "
        "clone it is called in.",
        wrong=_CHECKOUT.replace("https://github.com/example/flowers", "context.event.github.url"),
        right=_CHECKOUT,
        given={},
    ),
    Rule(
        id="no-model",
        severity="error",
        title="`create-model@v1` has other inputs or outputs than it needs",
        why="It registers the dataset that is its input `model`, and makes one output at most: "
        "`model-id`, a string.",
        wrong=_MODEL.replace("      model:", "      weights:"),
        right=_MODEL,
    ),
    Rule(
        id="model-type",
        severity="error",
        title="A model has a type that does not exist",
        why="It is `Tensorflow`, `ONNX` or `Custom`; the last fits every other framework.",
        wrong=_MODEL.replace("Tensorflow", "PyTorch"),
        right=_MODEL,
    ),
    Rule(
        id="unused-parameter",
        severity="warning",
        title="A parameter belongs to another action and has no effect",
        why="The action does not read it. Remove it, or take the action that has the parameter.",
        wrong=_CHECKOUT.replace("      url", "      image: alpine\n      url"),
        right=_CHECKOUT,
    ),
    Rule(
        id="bad-event",
        severity="error",
        title="A placeholder for the push is misspelt",
        why="There are two, and each is a whole value: `context.event.github.url` and "
        "`context.event.github.ref`. Anything else would be cloned as it stands.",
        wrong=_CHECKOUT.replace("https://github.com/example/flowers", "context.github.url"),
        right=_CHECKOUT,
    ),
)
