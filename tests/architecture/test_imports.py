"""Who may import whom. A breach names the file, the line and the rule."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("readers", "printers", "watchlists")
SLICES = (
    "sites", "accounts", "people", "registries", "screening", "policies", "credentials", "badges", "escorts", "visits", "hall", "doors",
    "emergency", "reports",
)
# A driver's import name → the only place that may import it.
DRIVERS = {
    "smartcard": "readers/pcsc.py", "osdp": "readers/osdp.py", "zxingcpp": "readers/barcode/", "escpos": "printers/escpos.py",
    "zebrafy": "printers/zpl.py", "asyncpg": "visitor/", "litestar": "visitor/",
}
HTTP_TYPES = {"litestar"}


def _files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def _imports(file: Path) -> Iterator[tuple[int, str, bool]]:
    """(line, module, inside TYPE_CHECKING) of every absolute import; relative ones are made absolute."""
    package = ".".join(file.relative_to(ROOT).parent.parts)
    tree = ast.parse(file.read_text("utf-8"))
    typing_only = {
        id(n)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for n in ast.walk(block)
    }
    for found in ast.walk(tree):
        if isinstance(found, ast.Import):
            for alias in found.names:
                yield found.lineno, alias.name, id(found) in typing_only
        elif isinstance(found, ast.ImportFrom):
            base = found.module or ""
            if found.level:
                parts = package.split(".")[: len(package.split(".")) - found.level + 1]
                base = ".".join([*parts, base] if base else parts)
            for alias in found.names:
                yield found.lineno, f"{base}.{alias.name}", id(found) in typing_only


def _breaches(files: Iterator[Path], rule: object) -> list[str]:
    assert callable(rule)
    return [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in files
        for line, module, typing_only in _imports(file)
        if not typing_only and rule(file.relative_to(ROOT).as_posix(), module)
    ]


def test_a_library_knows_neither_the_others_nor_the_service() -> None:
    def breach(file: str, module: str) -> bool:
        own, first = file.split("/")[0], module.split(".")[0]
        return first in {*LIBRARIES, "visitor", "litestar", "asyncpg"} - {own}

    assert _breaches(_files(*LIBRARIES), breach) == []


def test_each_driver_has_one_importer() -> None:
    def breach(file: str, module: str) -> bool:
        home = DRIVERS.get(module.split(".")[0])
        # The shipped fakes stand on the other side of the wire, where the same driver draws or plays what is read.
        return home is not None and not file.startswith((home, "readers/testing/", "printers/testing/"))

    assert _breaches(_files(*LIBRARIES, "visitor"), breach) == []


def test_the_service_uses_only_what_the_libraries_export() -> None:
    def breach(file: str, module: str) -> bool:
        parts = module.split(".")
        if parts[0] not in LIBRARIES or file.startswith(("visitor/bench/", "visitor/hardware.py")):
            return False
        # `from readers import X` is readers.X; a public submodule is a folder that its root documents.
        public = {("watchlists", "sources"), ("printers", "spool")}
        return len(parts) > 2 and (parts[0], parts[1]) not in public

    assert _breaches(_files("visitor"), breach) == []


def test_only_the_bench_imports_the_fakes_and_only_the_demo_imports_the_bench() -> None:
    def breach(file: str, module: str) -> bool:
        fake = any(module.startswith(f"{lib}.testing") for lib in LIBRARIES)
        bench = module.startswith("visitor.bench")
        return (fake and not file.startswith("visitor/bench/")) or (bench and not file.startswith(("visitor/bench/", "visitor/run.py")))

    assert _breaches(_files("visitor"), breach) == []


def test_slices_import_only_to_their_left_and_only_services_and_models() -> None:
    pure = ("models", "service")

    def breach(file: str, module: str) -> bool:
        own, parts = file.split("/"), module.split(".")
        if len(own) < 3 or own[1] not in SLICES or parts[0] != "visitor" or len(parts) < 2:
            return False
        if parts[1] in ("bench", "web", "app", "cli", "run", "commands"):
            return True
        if parts[1] not in SLICES or parts[1] == own[1]:
            return False
        left = SLICES.index(parts[1]) < SLICES.index(own[1])
        # Rules in a file of their own (policy.py, decision.py, photos.py) are models under another name.
        allowed = len(parts) > 2 and (parts[2] in pure or parts[2] not in ("routes", "store", "jobs"))
        return not (left and allowed)

    assert _breaches(_files("visitor"), breach) == []


def test_http_stops_at_routes_and_sql_at_stores() -> None:
    def breach(file: str, module: str) -> bool:
        own = file.split("/")
        if len(own) < 3 or own[1] not in SLICES:
            return False
        return module.split(".")[0] in HTTP_TYPES and not own[-1].startswith("routes")

    assert _breaches(_files("visitor"), breach) == []


def test_nothing_imports_tests_or_benchmarks() -> None:
    def breach(file: str, module: str) -> bool:
        return module.split(".")[0] in ("tests", "benchmarks")

    assert _breaches(_files(*LIBRARIES, "visitor"), breach) == []


@pytest.mark.parametrize("word", ["print(", "breakpoint("])
def test_a_library_does_not_print(word: str) -> None:
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in _files(*LIBRARIES)
        if file.name not in ("__main__.py", "cli.py") and "testing" not in file.parts
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == word[:-1]
        and not any(k.arg == "file" for k in node.keywords)
    ]
    assert found == []
