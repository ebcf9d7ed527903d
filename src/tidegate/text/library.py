"""The `tokenizers` library, imported when it is first needed, and kept quiet when the process forks."""

import os
from functools import cache
from types import ModuleType


@cache
def library() -> ModuleType:
    """Imports the library when it is first needed: `import tidegate` stays quick."""
    import tokenizers  # noqa: PLC0415

    os.register_at_fork(
        before=_ForkGuard.before, after_in_parent=_ForkGuard.after_in_parent, after_in_child=_ForkGuard.after_in_child
    )
    return tokenizers


class _ForkGuard:
    """Makes the library work on one thread in a forked child, where its thread pool is gone, without saying so.

    Left alone it does the same, but prints a warning that users cannot act on. The variable is seen while the fork
    takes place and stays in the child only, so programs that the parent starts inherit nothing.
    """

    variable = "TOKENIZERS_PARALLELISM"
    was_unset = False

    @classmethod
    def before(cls) -> None:
        cls.was_unset = cls.variable not in os.environ
        if cls.was_unset:
            os.environ[cls.variable] = "false"

    @classmethod
    def after_in_parent(cls) -> None:
        if cls.was_unset:
            os.environ.pop(cls.variable, None)

    @classmethod
    def after_in_child(cls) -> None:
        os.environ[cls.variable] = "false"
