"""What a network remembers, and how it learns: accounts of answers, units, gates, and the flow of gradients.

`ledger` takes a summary apart into what each step has left in it, `explain` does so with an answer, `attribution` sets
other views beside that, and `counterfactual` changes a gate; `units` says what single units do, and `gradient_flow`
whether gradients vanish or explode. All of it works for any cell: what a gate does is read from the cell's declaration.
"""

from tidegate.inspection.counterfactual import WhatIf as WhatIf
from tidegate.inspection.counterfactual import what_if as what_if
from tidegate.inspection.explain import Attribution as Attribution
from tidegate.inspection.explain import Explanation as Explanation
from tidegate.inspection.gradient_flow import GradientFlow as GradientFlow
from tidegate.inspection.ledger import Ledger as Ledger
from tidegate.inspection.units import Units as Units
