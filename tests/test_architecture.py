"""The floor plan holds: imports run one way, none in a circle, and a few libraries stay in their rooms."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("workers", "service", "analysis", "face")
ALLOWED = {
    "workers": {"workers"},
    "service": {"workers", "service"},
    "analysis": {"workers", "service", "analysis"},
    "face": {"workers", "service", "analysis", "face"},
}


def sources() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name without ``longlag.``."""
    files = [*ROOT.glob("*.py"), *(f for room in ROOMS[:3] for f in (ROOT / room).rglob("*.py"))]
    trees = {}
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts
        trees[".".join(parts)] = ast.parse(file.read_text())
    return trees


TREES = sources()


def room(module: str) -> str:
    first = module.split(".")[0]
    return first if first in ROOMS[:3] else "face"


def is_typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(module: str, tree: ast.Module, inside: bool = True) -> list[tuple[str, int]]:
    """Our own modules that a module names in relative imports; with ``inside`` also those within functions."""
    found = []
    package = module.split(".")[:-1]
    nodes: list[ast.AST] = list(tree.body)
    while nodes:
        node = nodes.pop()
        if is_typing_only(node):
            continue
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = base + (node.module.split(".") if node.module else [])
            for alias in node.names:
                found.append((resolve([*target, alias.name]), node.lineno))
        if inside or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            nodes += list(ast.iter_child_nodes(node))
    return found


def resolve(path: list[str]) -> str:
    """The module that a dotted path names: itself, its package, or the module that holds the name."""
    for candidate in (path, [*path, "__init__"], path[:-1], [*path[:-1], "__init__"]):
        if ".".join(candidate) in TREES:
            return ".".join(candidate)
    return ".".join(path)


@pytest.mark.parametrize("module", sorted(TREES))
def test_imports_run_one_way(module: str) -> None:
    for target, line in imports(module, TREES[module]):
        assert room(target) in ALLOWED[room(module)], f"{module}:{line} imports {target}"
        inside = room(module) != "face"
        assert not (inside and target == "__init__"), f"{module}:{line} imports the root from inside"


def test_no_import_cycles() -> None:
    """Module-level imports form no circle (a package's ``__init__`` counts as a module of its own)."""
    graph = {m: {t for t, _ in imports(m, tree, inside=False) if t != m} for m, tree in TREES.items()}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        for target in sorted(graph.get(module, ())):
            visit(target, (*path, module))
        done.add(module)

    for module in sorted(graph):
        visit(module, ())
    assert done >= set(TREES)


def test_no_second_copy_of_a_room() -> None:
    """From the checkout's root ``import workers`` also works, as a second copy: nobody does it."""
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] not in (*ROOMS, "longlag", "cli"), (
                    f"{module}:{node.lineno} imports {name}"
                )


OWNERS = {
    "ray": ("service.executors.own_ray",),
    "sqlalchemy": ("service.",),
    "alembic": ("service.",),
    "matplotlib": ("analysis.",),
    "scipy": ("workers.",),
    "jinja2": ("analysis.",),
    "pandas": ("service.", "analysis.", "<face>"),
    "typer": ("<face>",),
}


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_a_library_stays_in_its_rooms(library: str) -> None:
    users = []
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            if library in {name.split(".")[0] for name in names}:
                users.append(module)
    assert users, f"nobody imports {library}: take it out of this table and of pyproject.toml"
    for user in users:
        place = user if "." in user else "<face>"
        assert place.startswith(OWNERS[library]), f"{user} imports {library}"


def test_no_giant_files() -> None:
    """Files of 100 to 300 lines are the guide; one of more than 450 is two thoughts."""
    sizes = {module: len(ast.unparse(tree).splitlines()) for module, tree in TREES.items()}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    assert largest[0][1] <= 450, largest


def test_only_its_verb_knows_the_benchmarks() -> None:
    """They are not in the wheel, so that nothing else may need them."""
    users = [m for m, tree in TREES.items() if any("benchmarks" in t.split(".") for t, _ in imports(m, tree))]
    assert users == ["bench"]
