"""The kinds of group `gradient.run`, as pydantic models: the edge between YAML and this program.

The models are the one source of the CRDs (`api.crd` writes them) and of what a Gradient file may
hold. They check shape and bounds only; what depends on more than one field is said by `workflow`.
"""
