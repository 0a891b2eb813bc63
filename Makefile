PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: demo test test-all test-slow test-browser test-extras torture mutants coverage lint types contracts licences audit docs bench clean help

# Training on CPU spends half its time in page faults otherwise: glibc hands every freed tensor back to the
# kernel and asks for it again. These keep the memory in the process; other allocators ignore them.
demo test test-all test-slow test-browser test-extras torture mutants coverage bench: export MALLOC_MMAP_MAX_ = 0
demo test test-all test-slow test-browser test-extras torture mutants coverage bench: export MALLOC_TRIM_THRESHOLD_ = 17179869184
demo test test-all test-slow test-browser test-extras torture mutants coverage bench: export MALLOC_TOP_PAD_ = 268435456

demo: .venv/.installed  ## the whole pipeline on the shipped model; the page is runs/demo/report.html
	$(BIN)/pinpoint demo --out runs/demo

# Two tests at a time, each on one core: models this small gain nothing from a second.
WORKERS ?= 2
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: .venv/.installed  ## the tests that take seconds, offline
	$(PYTEST)

test-all: .venv/.installed  ## the slow tests too
	$(PYTEST) --runslow

test-slow: .venv/.installed  ## the slow tests alone
	$(PYTEST) --runslow -m slow

test-browser: .venv/.installed-browser  ## the pages in Chromium; pictures in build/screenshots
	$(PYTEST) --runbrowser tests/browser

EXTRAS := tests/evaluate/test_capability.py tests/evaluate/test_task_digests.py tests/inspect_tasks tests/models/test_quantised.py tests/pipeline/test_endpoint.py tests/pipeline/test_served.py \
	tests/cli/test_stages.py::test_a_stage_takes_a_device_for_itself_and_refuses_one_that_is_not_there \
	tests/pipeline/test_inspect.py::test_verify_holds_quantised_weights_to_themselves

test-extras: .venv/.installed-extras  ## the tests of lm-eval's tasks, Inspect, quantised models and `transformers serve`
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --runslow $(EXTRAS)

TORTURE := tests/torture tests/test_fuzz.py tests/test_fuzz_artifacts.py tests/test_soak.py tests/test_processes.py tests/tune/test_split.py

torture: export TORTURE_KILLS = 60
torture: export TORTURE_FAULTS = 60
torture: export FUZZ_EXAMPLES = 5000
torture: export SOAK_SWEEPS = 200
torture: export SOAK_ROUNDS = 50
torture: .venv/.installed-torture  ## sixty kills, sixty faults of the disk, fuzzing, a soak and all mutants; a night, two hours of it before the mutants
	$(BIN)/python -m pytest -q --runslow --timeout 7200 $(TORTURE)
	$(MAKE) mutants

SHARE ?= 1
SEED ?= 0
mutants: .venv/.installed-torture  ## mutants of the engines, metrics, statistics and head slices: bench/results/mutants.json; SHARE=0.1 tries a tenth, MUTATE=sweep one group
	$(BIN)/python -m tests.torture.mutants --share $(SHARE) --seed $(SEED) $(MUTATE)

coverage: .venv/.installed  ## branches of src that the fast and slow tests reach, subprocesses counted; half as slow again
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 $(BIN)/coverage run -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --runslow --timeout 1200 --durations 60
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under 92

lint: .venv/.installed  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed  ## mypy, strict
	$(BIN)/mypy

contracts: .venv/.installed  ## the layering, held by import-linter
	$(BIN)/lint-imports

licences: .venv/.installed  ## the licence of every dependency, from its metadata
	$(BIN)/python tests/licences.py

# Everything that is installed, without torch's "+cpu", which PyPI does not know. pip-audit passes over what it does not
# find, and behind a mirror that is all: strict, it fails.
audit: .venv/.installed .venv/audit/.installed  ## known weaknesses of the dependencies; asks PyPI, so it is no part of .ci/run, which is offline
	$(BIN)/pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' > .venv/audit/installed.txt
	.venv/audit/bin/pip-audit --strict --no-deps --disable-pip -r .venv/audit/installed.txt

docs: .venv/.installed-docs  ## the documentation, in docs/_build
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build

SPEED := peers peers_memory locate tune evaluate page

# One thread: seconds are then the processor's own, which other jobs on the machine hardly touch.
bench: export OMP_NUM_THREADS = 1
bench: .venv/.installed  ## the speed tables and docs/benchmarks.md, in about a quarter of an hour; other scripts in bench/ are run by name
	@set -e; for s in $(SPEED); do \
		echo "== bench/$$s.py"; \
		$(BIN)/python bench/$$s.py; \
	done

clean:  ## remove what was built; keeps .venv and runs
	rm -rf build dist docs/_build .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests bench docs -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# An environment that is there already is installed into, not rebuilt.
.venv/.installed: pyproject.toml constraints.txt
	[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	$(BIN)/pip install -c constraints.txt -e '.[dev]'
	touch $@

.venv/.installed-torture: .venv/.installed
	$(BIN)/pip install -c constraints.txt -e '.[torture]'
	touch $@

# On its own: it would bring forty packages into what it is to look at.
.venv/audit/.installed: .venv/.installed
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install pip-audit
	touch $@

.venv/.installed-extras: .venv/.installed
	$(BIN)/pip install -c constraints.txt -e '.[extras]'
	touch $@

.venv/.installed-docs: .venv/.installed
	$(BIN)/pip install -c constraints.txt -e '.[docs]'
	touch $@

.venv/.installed-browser: .venv/.installed
	$(BIN)/pip install -c constraints.txt -e '.[browser]'
	touch $@
