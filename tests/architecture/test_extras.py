"""Each library works where only its own extra is installed.

An environment of its own would have to be downloaded for every run; instead the interpreter is told to find nothing that the
extra does not bring: neither another library's packages, nor the service, nor the other libraries.
"""

from __future__ import annotations

import importlib.metadata as metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("readers", "printers", "watchlists")

_PROGRAM = """
import importlib.abc, importlib.util, json, pkgutil, sys
allowed, library, others = json.loads(sys.argv[1])
class Only(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in others:
            raise ModuleNotFoundError(f"{name} is not of this extra", name=name)
        return None
sys.meta_path.insert(0, Only())
package = __import__(library)
seen = [library]
for found in pkgutil.walk_packages(package.__path__, library + "."):
    if not found.name.endswith("__main__"):
        __import__(found.name)
        seen.append(found.name)
for name in package.__all__:
    getattr(package, name)
print(json.dumps(seen))
"""


def _name(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower().replace("_", "-")  # type: ignore[index]


def _closure(extra: str) -> set[str]:
    """The distributions that `pip install visitor[extra]` brings."""
    found: set[str] = set()
    waiting = [
        _name(r) for r in metadata.requires("visitor") or [] if f'extra == "{extra}"' in r.replace("'", '"') or "extra" not in r
    ]
    while waiting:
        name = waiting.pop()
        if name in found or name == "visitor":
            continue
        found.add(name)
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        waiting += [_name(r) for r in requires if "extra ==" not in r]
    return found


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_imports_with_its_own_extra_only(library: str) -> None:
    allowed = _closure(library) | ({"pyscard"} if library == "readers" else set())
    # A namespace that a distribution shares with one we allow (backports, google) is left in.
    others = {
        top
        for top, distributions in metadata.packages_distributions().items()
        if not {d.lower().replace("_", "-") for d in distributions} & allowed
    } - {"pip", "setuptools", "pkg_resources", "_distutils_hack", library, "tests"}
    others |= {"visitor", *LIBRARIES} - {library}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps([sorted(allowed), library, sorted(others)])],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(json.loads(done.stdout.splitlines()[-1])) > 5
