"""The kernel under AddressSanitizer and UndefinedBehaviorSanitizer: build it so in a folder of its own, run its tests on that build.

    python tests/watchlists/sanitize.py        # what `make sanitize` runs; exit status is that of the tests

Needs gcc or clang with their sanitizer libraries. Leaks are not looked for: the interpreter's own would drown them.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ["tests/watchlists/test_kernel.py", "tests/watchlists/test_bad_input.py", "tests/watchlists/test_surface.py", "tests/watchlists/test_origins.py"]


def build_and_run() -> int:
    compiler = os.environ.get("CC", "gcc")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "_kernel.so"
        sources = sorted(str(path) for path in (ROOT / "watchlists" / "kernel").glob("*.c"))
        flags = ["-g", "-O1", "-fvisibility=hidden", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-ffp-contract=off"]
        include = f"-I{sysconfig.get_paths()['include']}"
        subprocess.run([compiler, *flags, "-fPIC", "-shared", include, *sources, "-o", str(library), "-lm"], check=True)
        asked = subprocess.run([compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
        environment = os.environ | {
            "LD_PRELOAD": asked.stdout.strip(),
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
            "PYTHONMALLOC": "malloc",  # so that the sanitizer sees the interpreter's objects one by one
        }
        return subprocess.run([sys.executable, __file__, str(library)], env=environment, cwd=ROOT, check=False).returncode


def run_tests(library: str) -> int:
    loader = importlib.machinery.ExtensionFileLoader("watchlists._kernel", library)
    spec = importlib.util.spec_from_file_location("watchlists._kernel", library, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.modules["watchlists._kernel"] = module  # before the package would load its own
    sys.path.insert(0, str(ROOT))
    import pytest

    status = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *TESTS])
    from watchlists import compiled

    assert compiled.kernel is module, "the tests ran on another kernel"
    return int(status)


if __name__ == "__main__":
    sys.exit(run_tests(sys.argv[1]) if len(sys.argv) > 1 else build_and_run())
