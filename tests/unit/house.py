"""What the house asks of its own code, read from its source: sizes of classes and modules, circles, doors."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

MAX_METHODS = 25
"""Of a class, those inherited from our own bases counted, one that is overridden counted once."""
MAX_IMPORTS = 25
"""Import statements of a module, wherever they stand in it."""
MACHINE = "machine"
"""What a life-cycle machine is called by those who hold one; they change it through its `handle` only."""


def read_package(root: Path, package: str) -> dict[str, str]:
    """Return the source of every module of a package by the module's name."""
    sources = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        sources[".".join([package, *parts]).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return sources


class House:
    """The modules of a program, as far as their structure is to be judged.

    Parameters
    ----------
    sources : mapping of str to str
        The source of each module by its name.
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._trees = {name: ast.parse(source) for name, source in sources.items()}
        self._names = {name: _bindings(name, tree) for name, tree in self._trees.items()}
        self._classes = {
            name: found for module, tree in self._trees.items() for name, found in _classes(module, tree)
        }

    def methods(self, name: str) -> set[str]:
        """Return the names of a class's methods, its own and those of the bases that are in the house."""
        found = _methods(self._classes[name])
        return found.union(*(self.methods(base) for base in self.bases(name)))

    def bases(self, name: str) -> list[str]:
        """Return the full names of the bases of a class that are in the house."""
        bases = self._classes[name].bases
        return [base for each in bases if (base := self._resolve(name, ast.unparse(each))) is not None]

    def crowded_classes(
        self, *, excused: Mapping[str, set[str]], limit: int = MAX_METHODS
    ) -> dict[str, set[str]]:
        """Return the classes that have too many methods, and which.

        Parameters
        ----------
        excused : mapping of str to set of str
            By class: names of methods that do not count, in it and in what derives from it, because somebody
            else demands them.
        limit : int
            How many may count.
        """
        return {
            name: counted
            for name in self._classes
            if len(counted := self.methods(name) - self._excused(name, excused)) > limit
        }

    def crowded_modules(self, *, limit: int = MAX_IMPORTS) -> dict[str, int]:
        """Return the modules that have too many import statements, and how many."""
        counts = {
            name: sum(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree))
            for name, tree in self._trees.items()
        }
        return {name: count for name, count in counts.items() if count > limit}

    def imports(self, name: str) -> set[str]:
        """Return the modules of the house that a module imports when it is run, at once or later.

        What is imported for a type checker only is left out. A package is imported together with each of its
        modules; that is no wish of whoever imports the module, and is left out too.
        """
        wanted: set[str] = set()
        for node in _run_nodes(self._trees[name]):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                parts = {f"{node.module}.{alias.name}" for alias in node.names}
                modules = parts & self._trees.keys()
                wanted |= modules
                if modules != parts:
                    wanted.add(node.module)
        return wanted & self._trees.keys()

    def circles(self) -> list[set[str]]:
        """Return the circles of imports, each as the modules that reach one another."""
        imports = {name: self.imports(name) for name in self._trees}
        reached = {name: _reach(name, imports) for name in imports}
        circles = {
            frozenset({name, *(other for other in reached[name] if name in reached[other])})
            for name in self._trees
            if name in reached[name]
        }
        return sorted((set(circle) for circle in circles), key=sorted)

    def opened_machines(self) -> set[str]:
        """Return the places, as module and statement, that change a machine past its door."""
        return {
            f"{module}: {ast.unparse(node)}"
            for module, tree in self._trees.items()
            for node in ast.walk(tree)
            if any(_is_in_machine(target) for target in _targets(node))
        }

    def _excused(self, name: str, excused: Mapping[str, set[str]]) -> set[str]:
        return excused.get(name, set()).union(*(self._excused(base, excused) for base in self.bases(name)))

    def _resolve(self, inside: str, base: str) -> str | None:
        """Return the full name of a base that a class of some module names."""
        base = base.partition("[")[0]
        module = next(each for each in _prefixes(inside) if each in self._trees)
        head, dot, rest = base.partition(".")
        full = self._names[module].get(head, f"{module}.{head}") + dot + rest
        if full in self._classes:
            return full if full != inside else None
        home = next((each for each in _prefixes(full) if each in self._trees), None)
        if home is None or home == module:
            return None
        return self._resolve(home, full.removeprefix(f"{home}."))  # a package that hands it on


def _reach(name: str, imports: Mapping[str, set[str]]) -> set[str]:
    """Return all modules that a module imports, by however many steps."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = imports[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def _prefixes(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def _bindings(module: str, tree: ast.Module) -> dict[str, str]:
    """Return what the imported names of a module stand for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head = alias.name.partition(".")[0]
                names |= {alias.asname: alias.name} if alias.asname else {head: head}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _classes(inside: str, tree: ast.AST) -> Iterator[tuple[str, ast.ClassDef]]:
    """Yield the classes below a node with their full names."""
    for node in ast.iter_child_nodes(tree):
        name = inside
        if isinstance(node, ast.ClassDef):
            name = f"{inside}.{node.name}"
            yield name, node
        yield from _classes(name, node)


def _methods(node: ast.ClassDef) -> set[str]:
    return {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for kept in node.orelse:
                yield kept
                yield from _run_nodes(kept)
            continue
        yield node
        yield from _run_nodes(node)


def _targets(node: ast.AST) -> list[ast.expr]:
    """Return what a node assigns to, deletes, or sets by name."""
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            return [part for target in targets for part in _parts(target)]
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return [target]
        case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[owner, *_]):
            return [ast.Attribute(value=owner, attr="?", ctx=ast.Store())]
    return []


def _parts(target: ast.expr) -> list[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        return [part for each in target.elts for part in _parts(each)]
    return [target]


def _is_in_machine(target: ast.expr) -> bool:
    """Whether a target is an attribute or an item of a machine, at any depth."""
    if not isinstance(target, ast.Attribute | ast.Subscript):
        return False
    owner = target.value
    name = getattr(owner, "attr", getattr(owner, "id", ""))
    return name == MACHINE or name.endswith(f"_{MACHINE}") or _is_in_machine(owner)
