PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: demo test test-all test-slow torture lint types contracts licences audit docs bench clean help

# Training on CPU spends half its time in page faults otherwise: glibc hands every freed tensor back to the
# kernel and asks for it again. These keep the memory in the process; other allocators ignore them.
demo test test-all test-slow torture bench: export MALLOC_MMAP_MAX_ = 0
demo test test-all test-slow torture bench: export MALLOC_TRIM_THRESHOLD_ = 17179869184
demo test test-all test-slow torture bench: export MALLOC_TOP_PAD_ = 268435456

demo: .venv/.installed  ## the whole pipeline on the shipped model; the page is runs/demo/report.html
	$(BIN)/pinpoint demo --out runs/demo

test: .venv/.installed  ## the tests that take seconds, offline
	$(BIN)/python -m pytest -q

test-all: .venv/.installed  ## the slow tests too
	$(BIN)/python -m pytest -q --runslow

TORTURE := tests/torture tests/test_fuzz.py tests/test_fuzz_artifacts.py tests/test_soak.py

torture: export TORTURE_KILLS = 60
torture: export TORTURE_FAULTS = 60
torture: export FUZZ_EXAMPLES = 5000
torture: export SOAK_SWEEPS = 200
torture: export SOAK_ROUNDS = 50
test-slow: .venv/.installed  ## the slow tests alone
	$(BIN)/python -m pytest -q --runslow -m slow

torture: .venv/.installed  ## sixty kills, sixty faults of the disk, fuzzing and a soak in full; an hour or two
	$(BIN)/python -m pytest -q --runslow --timeout 7200 $(TORTURE)

lint: .venv/.installed  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed  ## mypy, strict
	$(BIN)/mypy

contracts: .venv/.installed  ## the layering, held by import-linter
	$(BIN)/lint-imports

licences: .venv/.installed  ## the licence of every dependency, from its metadata
	$(BIN)/python tests/licences.py

audit: .venv/.installed  ## known weaknesses of the dependencies; asks PyPI, so it is no part of CI, which is offline
	$(BIN)/pip install pip-audit
	$(BIN)/pip-audit --skip-editable

docs: .venv/.installed-docs  ## the documentation, in docs/_build
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build

SPEED := peers peers_memory floor locate tune evaluate page

bench: .venv/.installed  ## the speed tables and docs/benchmarks.md; other scripts in bench/ are run by name
	@set -e; for s in $(SPEED); do \
		echo "== bench/$$s.py"; \
		$(BIN)/python bench/$$s.py; \
	done

clean:  ## remove what was built; keeps .venv and runs
	rm -rf build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests bench docs -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# An environment that is there already is installed into, not rebuilt.
.venv/.installed: pyproject.toml constraints.txt
	[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	$(BIN)/pip install -c constraints.txt -e '.[dev]'
	touch $@

.venv/.installed-docs: .venv/.installed
	$(BIN)/pip install -c constraints.txt -e '.[docs]'
	touch $@
