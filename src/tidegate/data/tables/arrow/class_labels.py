"""Integers that stand for the names of classes, as the library `datasets` of Hugging Face writes them to Parquet."""

import json
from typing import Any, Self

import pyarrow as pa

_FEATURES = b"huggingface"  # a note of the schema, JSON: {"info": {"features": {column: {"_type": …}}}}


class ClassLabel(pa.ExtensionType):  # type: ignore[misc]
    """The type of a column of integers that knows their names; written again, they are the integers that they were.

    Attributes:
        names: The name of each class. −1 stands for no class.
    """

    def __init__(self, storage: Any, names: tuple[str, ...]) -> None:
        self.names = names
        super().__init__(storage, "tidegate.class_label")

    def __arrow_ext_serialize__(self) -> bytes:
        """Writes the names as JSON."""
        return json.dumps(self.names).encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: Any, serialized: bytes) -> Self:
        """Reads them."""
        return cls(storage, tuple(json.loads(serialized)))

    def name_of(self, value: int | None) -> Any:
        """Returns the name of an integer; None for none, and the integer where it has no name."""
        if value is None or value == -1:
            return None
        return self.names[value] if 0 <= value < len(self.names) else value


def class_labels(schema: Any) -> dict[str, ClassLabel]:
    """Finds the columns of integers whose names a schema notes, a `pyarrow.Schema`; a note that is no such is nothing.

    Source: `Features.arrow_schema` and `ClassLabel` in `datasets/features/features.py`.
    """
    try:
        features = json.loads(schema.metadata[_FEATURES])["info"]["features"]
        noted = {name: tuple(map(str, each["names"])) for name, each in features.items() if _is_noted(each)}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}
    fields = {field.name: field.type for field in schema}
    return {
        name: ClassLabel(fields[name], names)
        for name, names in noted.items()
        if name in fields and pa.types.is_integer(fields[name])
    }


def _is_noted(feature: Any) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list)
