# Two commands on a fresh machine that has Python 3.11 or newer:
#   make score    installs the light core into .venv and scores examples/
#   make test     installs everything and runs what CI runs
#
# uv is used where there is one, because it installs several times faster; pip does as well. `make test`, which has
# gigabytes to install, fetches uv into .venv where there is none, and goes on with pip where that is not to be had.

VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core
ALL := $(VENV)/.all

# Versions that CI ran. `make test CONSTRAINTS=` takes the newest of everything instead.
CONSTRAINTS := constraints.txt
# Processes that run tests.
TEST_WORKERS := 2
PYTEST_ARGS :=
# See bench/README.md.
BENCH_ARGS :=

UV := $(shell uv --version >/dev/null 2>&1 && echo uv)
RIGHT_PYTHON := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p $(RIGHT_PYTHON) >/dev/null 2>&1 && { command -v $$p; break; }; done)
EVERYTHING := -e '.[all,test]' $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
INSTALL := $(if $(UV),uv pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet)

# Every test process gets one core: numeric libraries that each start a thread per core only slow each other down.
export OMP_NUM_THREADS := 1
# Those that ask for more should not spin while they wait, on cores that others need.
export OMP_WAIT_POLICY := PASSIVE
# Tests start many processes; each would compile torch and the rest again where this is set.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help score test lint bench docs clean
.DEFAULT_GOAL := help

help: ## Show this list.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1	\2/' | expand -t 14

score: $(CORE) ## Score the pictures in examples/ (installs the light core first; no torch).
	@$(BIN)/beholder score examples/

test: lint ## Lint, check types and imports, run all tests (installs everything first).
	$(BIN)/pytest -n $(TEST_WORKERS) $(PYTEST_ARGS)

lint: $(ALL) ## Style, types, and the direction of imports.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(ALL) ## Measure speed, memory and more on this machine; writes bench/results/.
	$(BIN)/python bench/run_all.py $(BENCH_ARGS)

docs: $(ALL) ## Run the commands that README and docs/ show, and put in what they print.
	$(BIN)/python docs/render.py README.md docs/*.md

clean: ## Remove .venv and all caches.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@if [ -z "$(UV)$(PYTHON)" ]; then \
		echo "beholder needs Python 3.11 or newer; found $$(python3 --version 2>&1 || echo none)." >&2; \
	elif [ -n "$(PYTHON)" ] && ! "$(PYTHON)" $(RIGHT_PYTHON) >/dev/null 2>&1; then \
		echo "beholder needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" --version 2>&1)." >&2; \
	else exit 0; fi; \
	echo "Install one from python.org or with your package manager, or name it: make PYTHON=/path/to/python" >&2; exit 1
	@$(if $(UV),uv venv --quiet --clear --python "$(or $(PYTHON),>=3.11)",'$(PYTHON)' -m venv --clear) $(VENV) || { \
		echo "No virtual environment could be made. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(CORE): pyproject.toml | $(BIN)/python
	@echo "installing the light core into $(VENV), once"
	@$(INSTALL) -e .
	@touch $@

$(ALL): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "installing everything into $(VENV), once; with torch this takes minutes and, on Linux, gigabytes"
	@$(if $(UV),,{ $(BIN)/python -m pip install --quiet uv && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python $(EVERYTHING); } || )$(INSTALL) $(EVERYTHING)
	@touch $(CORE) $@
