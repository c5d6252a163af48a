"""Turns a pydantic model into the structural OpenAPI v3 schema that a CRD needs.

pydantic speaks JSON Schema: references, `anyOf` with null, titles, keys by pattern. The API server
takes none of these. What cannot be said structurally is an error here, not a schema that admits
everything. Knows nothing of the kinds.
"""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel

from gradient_operator.api.base import Model

Schema = dict[str, Any]
Decorator = Callable[[type[BaseModel], Schema], None]
"""Adds to the finished schema of a model what the model itself cannot say."""

KEPT: Final = (
    "type",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "maxItems",
    "maxProperties",
    "required",
)
DROPPED: Final = frozenset(
    {"$defs", "$ref", "anyOf", "title", "default", "description", "items", "properties"}
    | {"additionalProperties", "patternProperties", "propertyNames", "const"}
)
EXTENSION: Final = "x-kubernetes-"
OPEN: Final = "x-kubernetes-preserve-unknown-fields"


class NotStructuralError(ValueError):
    """A part of a model that the API server could not check; the message says which and why."""


def structural_schema(model: type[BaseModel], *, decorate: Decorator | None = None) -> Schema:
    """The schema of `model` as `openAPIV3Schema` takes it.

    Raises:
        NotStructuralError: a union without `x-kubernetes-preserve-unknown-fields`, or a keyword
            that structural schemas do not have.
    """
    source = model.model_json_schema(by_alias=True)
    models = {each.__name__: each for each in models_within(model)}
    return _Converter(source, models, decorate).convert(source, path=model.__name__)


class _Converter:
    def __init__(
        self, source: Schema, models: Mapping[str, type[BaseModel]], decorate: Decorator | None
    ) -> None:
        self._definitions: Mapping[str, Schema] = source.get("$defs", {})
        self._models = models
        self._decorate = decorate

    def convert(self, source: Schema, *, path: str) -> Schema:
        node = self._resolve(source, path=path)
        unknown = {key for key in node if not key.startswith(EXTENSION)} - DROPPED - {*KEPT}
        if unknown:
            raise NotStructuralError(f"{path}: no structural schema has {sorted(unknown)}")
        schema: Schema = {}
        if text := _description(node):
            schema["description"] = text
        schema |= {key: node[key] for key in KEPT if key in node}
        if "const" in node:
            schema["enum"] = [node["const"]]
        schema |= self._children(node, path=path)
        schema |= {key: node[key] for key in sorted(node) if key.startswith(EXTENSION)}
        if "type" not in schema and not schema.get(OPEN):
            raise NotStructuralError(f"{path}: has no type; say {OPEN} or give it one")
        model = self._models.get(node.get("title", ""))
        if model is not None and self._decorate is not None:
            self._decorate(model, schema)
        return schema

    def _resolve(self, node: Schema, *, path: str) -> Schema:
        """Follow the reference and drop null; what stands beside them wins over their target."""
        while "$ref" in node or "anyOf" in node:
            rest = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
            if "$ref" in node:
                target = self._definitions[node["$ref"].rsplit("/", 1)[-1]]
            else:
                options = [option for option in node["anyOf"] if option.get("type") != "null"]
                if len(options) > 1:
                    if not node.get(OPEN):
                        raise NotStructuralError(f"{path}: a union needs {OPEN}")
                    return rest
                target = options[0]
            # The title of a field says nothing; that of a model leads to its class.
            title = target.get("title", rest.get("title"))
            node = {**target, **rest, "title": title}
        return node

    def _children(self, node: Schema, *, path: str) -> Schema:
        children: Schema = {}
        if "items" in node:
            children["items"] = self.convert(node["items"], path=f"{path}[]")
        if "properties" in node:
            docs = field_docs(self._models[node["title"]])
            children["properties"] = {
                name: self.convert(
                    {**child, "description": docs[name]} if name in docs else child,
                    path=f"{path}.{name}",
                )
                for name, child in node["properties"].items()
            }
        value = _map_value(node)
        if value is not None:
            children["additionalProperties"] = self.convert(value, path=f"{path}.*")
        return children


def _map_value(node: Schema) -> Schema | None:
    """The schema of a map's values; patterns of keys have no structural form."""
    patterns = [*node.get("patternProperties", {}).values()]
    if patterns:
        return dict(patterns[0])
    value = node.get("additionalProperties")
    return value if isinstance(value, dict) else None


def _description(node: Schema) -> str:
    """One paragraph, with the default: the API server writes none into objects.

    So an object stays as its author wrote it, and GitOps tools see no difference.
    """
    text = " ".join(str(node.get("description", "")).split())
    default = node.get("default")
    if not isinstance(default, (str, int, float)) or default == "":
        return text
    spelled = str(default).lower() if isinstance(default, bool) else str(default)
    return f"{text} Default: {spelled}.".strip()


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings below the fields of a model and its bases, by the fields' outside names."""
    docs: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, Model):
            continue
        for name, text in _docstrings_below(base):
            field = base.model_fields[name]
            docs[field.alias or name] = text
    return docs


def _docstrings_below(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for field, text in itertools.pairwise(statements):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            yield field.target.id, inspect.cleandoc(str(text.value.value))


def models_within(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation is made of, and those of their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_within(field.annotation)
    for part in get_args(annotation):
        yield from models_within(part)
