"""What holds for the code as a whole: arrows, names, sizes, docstrings, kernels' symbols, what an import drags in."""

import ast
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import tidegate

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "tidegate"

# From the ground up. A room is a folder, or a module at the top. What is in it may import from the floors below, and
# from no other room; on the ground floor, all may import the native module, which imports nothing.
ROOMS = (
    ("_native", "ops", "files", "characters"),
    ("sequences", "torch", "text", "data"),
    ("inspection", "stream"),
    ("models",),
    ("training", "convert"),
    ("__init__", "sklearn", "ray"),
    ("serve", "study"),
    ("cli",),
    ("__main__",),
)
LEVELS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms} | {"_native": -1}
SOURCES = sorted(PACKAGE.rglob("*.py"))

# What only the extras bring. Training and the command line may import these; what a trained model needs may not.
EXTRAS = {"torch", "pyarrow", "sklearn", "typer", "rich", "matplotlib", "fastapi", "pydantic", "uvicorn"} | {
    "onnx",
    "onnxruntime",
    "h5py",
    "keras",
    "soundfile",
    "ray",
}

LONGEST_FUNCTION = 60
MOST_FUNCTIONS = 30
MOST_PARAMETERS = 8

# Where cells have their names: their own files, their classes in torch, and experiments about them.
CELLS_ARE_NAMED_IN = (
    "src/tidegate/ops/cells/",
    "src/tidegate/torch/modules/",
    "src/tidegate/study/",
    "native/kernels/cells/",
)


@cache
def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions of a file, methods and inner ones included."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def wrong(found: Mapping[Path, Collection[str]]) -> dict[str, Collection[str]]:
    """What was found in files where there should be nothing, by their names in the repository."""
    return {path.relative_to(ROOT).as_posix(): names for path, names in found.items() if names}


def lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the last one, docstring included."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def imported_names(source: str) -> set[tuple[str, ...]]:
    """What a module imports of tidegate, at its top or inside a function, each in its parts after "tidegate"."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {tuple(name.split(".")[1:]) for name in found if name.split(".")[0] == "tidegate"}


def imported_rooms(source: str) -> set[str]:
    """The rooms that a module imports from; `__init__` is the package itself."""
    return {parts[0] if parts and parts[0] in LEVELS else "__init__" for parts in imported_names(source)}


def arrows_up(room: str, source: str) -> list[str]:
    """The rooms that a module of this one imports from and that do not stand below it."""
    return sorted(other for other in imported_rooms(source) - {room} if LEVELS[other] >= LEVELS[room])


def room_of(path: Path) -> str:
    """The room of a source file: the folder at the top that it is in, or its own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".pyi").removesuffix(".py")


def arrows_inside(folder: Path) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
    """What each module of a room, those of nested folders included, imports of the same room, in dotted parts."""
    paths = {path.relative_to(PACKAGE).with_suffix("").parts: path for path in folder.rglob("*.py")}
    modules = {parts[:-1] if parts[-1] == "__init__" else parts: path for parts, path in paths.items()}

    def module_of(name: tuple[str, ...]) -> tuple[str, ...]:
        return name if name in modules else module_of(name[:-1])

    return {
        module: {module_of(name) for name in imported_names(path.read_text(encoding="utf-8")) if name[:1] == module[:1]}
        for module, path in modules.items()
    }


def arrows_between(
    arrows: Mapping[tuple[str, ...], set[tuple[str, ...]]],
) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
    """The same between the folders of a room, a module that is in none standing for itself."""
    found: dict[tuple[str, ...], set[tuple[str, ...]]] = {module[:2]: set() for module in arrows}
    for module, others in arrows.items():
        found[module[:2]] |= {other[:2] for other in others} - {module[:2]}
    return found


def test_every_module_has_its_room() -> None:
    """The table of rooms names the modules that there are, each once."""
    assert {room_of(path) for path in [*SOURCES, *PACKAGE.glob("*.pyi")]} == set(LEVELS)
    assert sum(map(len, ROOMS)) == len(LEVELS)


def test_no_file_is_mapped_into_memory() -> None:
    """The system ends a process that reads on in a mapped file after another program has cut it."""
    mapping = {"safe_open", "load_file", "mmap", "memmap", "memory_map"}
    found = {path: mapping & set(re.findall(r"\w+", path.read_text(encoding="utf-8"))) for path in SOURCES}
    assert wrong(found) == {}


def test_the_design_page_draws_the_same_rooms() -> None:
    """The table of rooms in the design page is the one that the tests use."""
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (`.*?`) \|", page, re.MULTILINE)
    drawn = {int(level): set(re.findall(r"`(\w+)`", modules)) for level, modules in rows}
    assert drawn == {level: set(room) for level, room in enumerate(ROOMS)}


def test_arrows_point_down() -> None:
    """A module imports only from rooms below its own."""
    assert wrong({path: arrows_up(room_of(path), path.read_text(encoding="utf-8")) for path in SOURCES}) == {}


@pytest.mark.parametrize("folder", sorted(path.parent for path in PACKAGE.glob("*/__init__.py")), ids=lambda p: p.name)
def test_arrows_inside_a_room_make_no_circle(folder: Path) -> None:
    """The modules of a room, and its folders, can be put in an order in which each imports only from those before."""
    arrows = arrows_inside(folder)
    TopologicalSorter(arrows).prepare()
    TopologicalSorter(arrows_between(arrows)).prepare()
    assert any(arrows.values())


def test_a_circle_inside_a_room_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that imports the page of its own room closes a circle, from a nested folder too."""
    nested = tmp_path / "ops" / "cells"
    nested.mkdir(parents=True)
    (tmp_path / "ops" / "__init__.py").write_text("from tidegate.ops.cells.gru import GRU", encoding="utf-8")
    (nested / "__init__.py").touch()
    (nested / "gru.py").write_text("from tidegate.ops import pack", encoding="utf-8")
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    with pytest.raises(CycleError):
        TopologicalSorter(arrows_inside(tmp_path / "ops")).prepare()


def test_a_circle_of_folders_is_seen() -> None:
    """Two folders of a room that import from each other are a circle, even if no two of their modules are."""
    gru, lstm, pack = ("ops", "cells", "gru"), ("ops", "cells", "lstm"), ("ops", "pack")
    arrows: dict[tuple[str, ...], set[tuple[str, ...]]] = {gru: {pack}, pack: {lstm}, lstm: set()}
    TopologicalSorter(arrows).prepare()
    with pytest.raises(CycleError):
        TopologicalSorter(arrows_between(arrows)).prepare()


@pytest.mark.parametrize(
    "line",
    [
        "import tidegate.cli",
        "import tidegate",
        "from tidegate import models",
        "from tidegate import load",
        "from tidegate.cli.app import run",
        "def late():\n    from tidegate.sequences.recurrent import Recurrent",
    ],
)
def test_an_arrow_that_points_up_is_seen(line: str) -> None:
    """Every way to write an import is read, inside functions too (relative imports are refused by ruff)."""
    assert arrows_up("ops", line)


def public_names() -> list[str]:
    """The names that the package's page re-exports, in its order."""
    statements = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body
    imports = [statement for statement in statements if isinstance(statement, ast.ImportFrom)]
    return [alias.asname for statement in imports for alias in statement.names if alias.asname]


def test_the_package_page_does_nothing_but_list_names() -> None:
    """`__init__.py` is a docstring and lines `from tidegate.module import name as name`, each public name once."""
    statements = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body
    assert all(isinstance(statement, ast.ImportFrom) for statement in statements[1:])
    assert len(set(public_names())) == len(public_names())


def test_public_names_are_all_that_the_package_shows() -> None:
    """What a user can reach under `tidegate.` is what the page lists, and its modules."""
    shown = {name for name, value in vars(tidegate).items() if not isinstance(value, ModuleType)}
    assert {name for name in shown if not name.startswith("_")} == set(public_names()) - {"__version__"}


@pytest.mark.parametrize("name", public_names())
def test_public_names_are_documented(name: str) -> None:
    """Every public name has a docstring."""
    assert inspect.getdoc(getattr(tidegate, name))


def test_the_versions_agree() -> None:
    """The version compiled into the native part is that of the installed package."""
    assert tidegate.__version__ == version("tidegate")


def test_every_test_says_what_must_be_so() -> None:
    """Every test has a docstring that is a sentence."""

    def mute(path: Path) -> list[str]:
        tests = [function for function in functions(path) if function.name.startswith("test_")]
        return [test.name for test in tests if not re.search(r"\w.*[.:]$", ast.get_docstring(test) or "", re.DOTALL)]

    assert wrong({path: mute(path) for path in (ROOT / "tests").rglob("test_*.py")}) == {}


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks"])
def test_functions_are_short(folder: str) -> None:
    """No function is longer than 60 lines, and nine in ten are no longer than 30."""
    sizes = {
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}": lines(function)
        for path in (ROOT / folder).rglob("*.py")
        for function in functions(path)
    }
    assert {name: size for name, size in sizes.items() if size > LONGEST_FUNCTION} == {}
    longer = [name for name, size in sizes.items() if size > MOST_FUNCTIONS]
    assert len(longer) <= len(sizes) / 10, longer


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many parameters a function has, `*args` and `**kwargs` counting as one each."""
    given = function.args
    return len([*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, [given.vararg, given.kwarg])])


def test_functions_take_few_parameters() -> None:
    """No function takes more than eight, but constructors, commands of the console, and modules' calls in torch."""

    def many(path: Path) -> list[str]:
        exempt = {"__init__"} | ({"forward", "route"} if "torch" in path.parts else set())
        exempt |= {path.stem} if "cli" in path.parts else set()  # a command, whose parameters are its options
        return [
            function.name
            for function in functions(path)
            if parameters(function) > MOST_PARAMETERS and function.name not in exempt
        ]

    assert wrong({path: many(path) for path in [*SOURCES, *PACKAGE.glob("*.pyi")]}) == {}


def code_of(path: Path) -> str:
    """A file's code without comments, docstrings and examples, where cells may be named."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in {".py", ".pyi"}:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                body[:] = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
        return ast.unparse(tree)
    return re.sub(r"//.*|/\*.*?\*/|<!--.*?-->", "", text, flags=re.DOTALL if path.suffix == ".html" else 0)


def code_files() -> list[Path]:
    """The files of Python, C++ and the page that run."""
    folders = [(PACKAGE, ("*.py", "*.pyi", "*.js", "*.html")), (ROOT / "native", ("*.cpp", "*.hpp"))]
    found = [path for folder, patterns in folders for pattern in patterns for path in folder.rglob(pattern)]
    return sorted(path for path in found if "vendor" not in path.parts)


def test_no_code_asks_for_the_name_of_a_cell() -> None:
    """Drivers, bindings, files, console and page read what a cell declares; the default cell is a name too."""
    elsewhere = [path for path in code_files() if not path.relative_to(ROOT).as_posix().startswith(CELLS_ARE_NAMED_IN)]
    named = {
        path: re.findall(r"[\"'`](gru|lstm|rnn_tanh|rnn_relu)\b[^\"'`]*[\"'`]", code_of(path)) for path in elsewhere
    }
    assert wrong({path: names for path, names in named.items() if names != ["gru"]}) == {}


def kernel_objects() -> list[Path]:
    """The kernels' object files in the folders that installing a checkout leaves; without any, tests are skipped."""
    return sorted(ROOT.glob("build/cp*/**/kernels_*.o"))


def symbols(path: Path, *options: str) -> list[str]:
    """What nm lists of an object file, without the underscore that macOS puts first."""
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm is not here")
    listing = subprocess.run([nm, *options, str(path)], check=True, capture_output=True, text=True).stdout
    prefix = "_" if sys.platform == "darwin" else ""
    return [line.split()[-1].removeprefix(prefix) for line in listing.splitlines() if line.strip()]


@pytest.mark.parametrize("path", kernel_objects(), ids=lambda path: path.name)
def test_a_kernel_object_exports_its_table_alone(path: Path) -> None:
    """The linker can take nothing from a kernel object but its table: code for a newer processor stays in it."""
    exported = symbols(path, "-g", "--defined-only")
    assert len(exported) == 1, exported
    assert "kernels" in exported[0]


@pytest.mark.parametrize("path", kernel_objects(), ids=lambda path: path.name)
def test_a_kernel_object_needs_no_cpp_library(path: Path) -> None:
    """Kernels call nothing of the C++ library or of Python, and allocate nothing."""
    needed = symbols(path, "-u")
    assert [name for name in needed if name.startswith(("_Z", "__cxa", "Py", "malloc", "free"))] == []


def extras_imported_by(code: str) -> set[str]:
    """The extras that a fresh interpreter has imported after this code."""
    probe = f"{code}\nimport sys\nprint(*(sys.modules.keys() & {EXTRAS!r}))"
    done = subprocess.run([sys.executable, "-c", probe], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_tidegate_needs_no_extra() -> None:
    """`import tidegate` imports numpy and its own modules, and none of the extras."""
    assert extras_imported_by("import tidegate") == set()


def test_using_a_model_needs_no_extra(tiny_model: Path) -> None:
    """A model is loaded, predicts, encodes, is explained and has its gradients and units measured without any extra."""
    code = f"""
import tidegate
model = tidegate.load({str(tiny_model)!r})
model.predict(["good film", ""]), model.predict_proba(["bad film"]), model.encode(["film"])
model.explain("a film"), model.what_if("a film", step=1, unit=0, update=1), model.units(["a film"])
model.gradient_flow("a film")[0].verdict
model.stream(model.stream().push("a go").state).push(b"od film").finish().probabilities
tidegate.StreamPool(model).push(["a"], ["a film "]).probabilities
from tidegate.inspection.attribution import compare
from tidegate.inspection.gradient_flow import factors, loss_gradients, lyapunov, state_weights
(trace,) = model.trace("a good film")
compare(model, ["a bad film"]), loss_gradients(model, "a film")
factors(trace, state_weights(model, trace)), lyapunov(trace, state_weights(model, trace))"""
    assert extras_imported_by(code) == set()


def test_an_import_of_an_extra_would_be_seen() -> None:
    """The two tests above can fail: an extra that is imported is reported."""
    pytest.importorskip("typer")
    assert "typer" in extras_imported_by("import typer, tidegate")


def test_python_s_import_report_names_tidegate_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Python's `-X importtime` has one line for tidegate; the best time of three is printed for a reader to judge."""
    command = [sys.executable, "-X", "importtime", "-c", "import tidegate"]
    reports = [subprocess.run(command, check=True, capture_output=True, text=True).stderr for _ in range(3)]
    microseconds = [re.findall(r"\|\s*(\d+) \| tidegate$", report, re.MULTILINE) for report in reports]
    with capsys.disabled():
        print(f"\nimport tidegate: {min(int(figure) for (figure,) in microseconds) / 1000:.0f} ms")  # noqa: T201
