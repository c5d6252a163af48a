"""The catalogue of what can be wrong with a Gradient file: one entry for each rule.

The checks name rules by their ids; what a rule means, why it matters and what is right stands here
alone. `docs/rules` and the metadata of SARIF are made from it.
"""
