# Visitor. `make run` and `make test` are the two commands needed; both install what they need.
.DEFAULT_GOAL := help
PY := .venv/bin/python
ARGS ?=

.PHONY: help run test check unit install install-test lock sanitize fuzz bench clean

help: ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

run: install ## the main job in the browser: a demo district, no hardware needed (ARGS="--port 9000 --data DIR")
	@$(PY) -m visitor.cli run --demo $(ARGS)

test: install-test check unit ## every check and every test

install: ## make .venv and install what `make run` needs
	@sh .ci/install run

install-test: ## the same for the tests
	@sh .ci/install test

check: ## types and style
	$(PY) -m ruff check .
	$(PY) -m mypy

unit: ## the tests alone (ARGS="-k name")
	$(PY) -m pytest -n 2 --dist loadgroup $(ARGS)

sanitize: install-test ## the matcher's kernel under the address and undefined-behavior sanitizers
	$(PY) tests/watchlists/sanitize.py

SECONDS ?= 600
fuzz: install-test ## everything that takes bytes from a card or a scanner, with atheris (SECONDS=600)
	@$(PY) -c 'import atheris' 2>/dev/null || $(PY) -m pip install -q 'atheris>=2.3' || { echo "atheris could not be installed here."; exit 1; }
	$(PY) tests/readers/fuzz.py -max_total_time=$(SECONDS)

bench: install-test ## the service's own figures; each library's are in benchmarks/ too (python benchmarks/NAME.py --help)
	$(PY) benchmarks/checkin.py --entries 100000
	$(PY) benchmarks/door_tap.py

lock: ## renew the pinned requirements from pyproject.toml
	@sh .ci/lock

clean: ## remove the environment and everything built
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis tests/node_modules
	find readers printers watchlists visitor -name '*.so' -delete
