"""The models of a service, by name."""

from collections.abc import Iterator, Mapping

from tidegate.models.network import Network
from tidegate.serve.limits import Limits
from tidegate.serve.metrics import Metrics
from tidegate.serve.refusals import Refusal
from tidegate.serve.served import Served


class Models:
    """All models that a service has."""

    def __init__(self, models: Mapping[str, Network], limits: Limits, metrics: Metrics) -> None:
        """Gives each its name.

        Raises:
            ValueError: There is none.
        """
        if not models:
            raise ValueError("a service needs a model, expected at least one")
        self._served = {name: Served(name, model, limits, metrics) for name, model in models.items()}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def close(self) -> None:
        """Ends their threads."""
        for served in self:
            served.close()

    def of(self, name: str | None) -> Served:
        """Returns the model of a name; the first without one.

        Raises:
            Refusal: There is none.
        """
        served = next(iter(self)) if name is None else self._served.get(name)
        if served is None:
            raise Refusal(404, f"there is no model {name!r:.80}, only {', '.join(self._served)}")
        return served
