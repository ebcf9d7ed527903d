"""How much the end of a sequence still depends on each of its steps: do gradients vanish, explode, or hold?

Norms are kept as logarithms, so that they are right over thousands of steps, however small or large they become.
Everything is in float64.
"""

from tidegate.inspection.gradient_flow.jacobian import jacobians
from tidegate.inspection.gradient_flow.losses import LossGradients, loss_gradients
from tidegate.inspection.gradient_flow.norms import GradientFlow, flow, flows, state_weights
from tidegate.inspection.gradient_flow.steps import Factors, factors, lyapunov

__all__ = [
    "Factors",
    "GradientFlow",
    "LossGradients",
    "factors",
    "flow",
    "flows",
    "jacobians",
    "loss_gradients",
    "lyapunov",
    "state_weights",
]
