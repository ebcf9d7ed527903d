"""Makes a virtual environment with the lowest versions that pyproject.toml allows.

    python tests/lowest.py FOLDER

Only what we name ourselves is lowest; what those packages need in turn is as new as they take it.
"""

import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def lowest(requirements: list[Any]) -> Iterator[str]:
    """Pins each requirement to its lower bound; groups that are included are left out."""
    for requirement in requirements:
        found = re.match(r"([\w.-]+)(?:\[.*\])?>=([\d.]+)", requirement) if isinstance(requirement, str) else None
        if found:
            yield f"{found[1]}=={found[2]}"


def pins() -> list[str]:
    """The lowest versions of what tidegate, its build and its tests need."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, groups = settings["project"], settings["dependency-groups"]
    lists = [project["dependencies"], *project["optional-dependencies"].values(), groups["build"], groups["test"]]
    return sorted({pin for requirements in lists for pin in lowest(requirements)})


def make(folder: Path) -> None:
    """Makes the environment, with tidegate as a wheel in it."""
    venv.create(folder, clear=True, with_pip=True)
    python = str(folder / "bin" / "python")
    print(*pins())
    ours = ["--no-build-isolation", "--no-deps", "-C", f"build-dir={folder}-cmake", str(ROOT)]
    for arguments in (["--upgrade", "pip"], pins(), ours):
        subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
