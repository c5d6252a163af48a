"""All rules by their ids. To add one, write its entry into the module of its subject."""

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Final

from gradient_operator.workflow.rules import (
    actions,
    advice,
    control,
    fields,
    files,
    graph,
    habits,
    limits,
    slots,
    triggers,
)
from gradient_operator.workflow.rules.model import Rule

CATALOGUE: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        rule.id: rule
        for rule in chain(
            files.RULES,
            fields.RULES,
            habits.RULES,
            graph.RULES,
            slots.RULES,
            actions.RULES,
            control.RULES,
            triggers.RULES,
            limits.RULES,
            advice.RULES,
        )
    }
)
