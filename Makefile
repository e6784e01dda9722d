# Everything runs in .venv, which the first target that needs it makes. Only Python 3.11+ and make are needed.
PYTHON ?= python3
PROFILE ?= quick
KILLS ?= 1000
COUNT ?= 100000
BIN := .venv/bin
# Large pages for what malloc gives (Linux, glibc): up to a twentieth off an update, the same numbers.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

.DEFAULT_GOAL := help
.PHONY: help install format check test test-fast test-matrix quickstart reproduce-all publish bench bench-compare torture fuzz \
	docs dist clean

help:  ## Show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: .venv/.installed  ## Make .venv and install metarl with the tested versions

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

format: install  ## Write every file as the linter wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: install  ## Lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: install  ## All tests, on two cores
	$(BIN)/python -m pytest -n 2 --dist loadscope

FAST := tests/estimators tests/test_architecture.py tests/test_columns.py tests/test_config.py tests/test_docs.py

test-fast: install  ## The proofs and the rules of the house, half a minute
	$(BIN)/python -m pytest -n 2 --dist loadscope $(FAST)

test-matrix:  ## The fast tests with the oldest and the newest versions allowed, in .venv-oldest and .venv-newest
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet -c constraints-oldest.txt -e . pytest pytest-xdist "gymnasium[mujoco]"
	.venv-oldest/bin/python -m pytest -n 2 --dist loadscope $(FAST)
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --quiet -e . pytest pytest-xdist "gymnasium[mujoco]"
	.venv-newest/bin/python -m pytest -n 2 --dist loadscope $(FAST)

quickstart: install  ## Train ProMP on HalfCheetahFwdBack for 25 iterations and draw what it learned (3 minutes)
	$(BIN)/metarl train --algo promp --env HalfCheetahFwdBack --iterations 25 --threads 2 \
		--out results/local/quickstart/promp --overwrite
	$(BIN)/metarl plot adaptation --results results/local/quickstart --out results/local/quickstart

reproduce-all: install  ## Run, draw and compare all twelve figures, PROFILE=quick (about 40 minutes on 2 cores) or smoke (1 minute)
	$(BIN)/metarl reproduce --all --profile $(PROFILE)

publish: install  ## Copy your results of PROFILE, without checkpoints, to results/published, and draw all figures
	mkdir -p results/published/$(PROFILE)
	tar -C results/local/$(PROFILE) --exclude='checkpoint*.pt' --exclude=.lock --exclude='*.tmp' --exclude=comparison.csv \
		--exclude=./figures --exclude=./variance --exclude=./train --exclude=./set-aside -cf - . | tar -C results/published/$(PROFILE) -xf -
	$(BIN)/metarl plot --all

bench: install  ## Speed and memory, as one table; 12 minutes on a machine that is otherwise quiet (QUICK=1: a trial, 2 minutes)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

bench-compare: install  ## How two files of make bench compare: A=benchmarks/results/….json B=…
	$(BIN)/python -m benchmarks --compare $(A) $(B)

torture: install  ## Kill runs KILLS times (1000), at random moments and file operations; each must end the same
	$(BIN)/python benchmarks/kills.py --count $(KILLS)

fuzz: install  ## COUNT inputs that nobody would think of (100000), other ones each time: no traceback, no damage
	FUZZ_COUNT=$(COUNT) $(BIN)/python -m pytest tests/fuzz

docs: install  ## The documentation, as a site in site/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	$(BIN)/mkdocs build --strict

dist: install  ## Wheel and sdist in dist/, checked, and the wheel tried in an empty directory and a fresh environment
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[release]"
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(BIN)/python tests/installed.py dist/*.whl

clean:  ## Remove .venv and caches
	rm -rf .venv .venv-oldest .venv-newest dist site .pytest_cache .mypy_cache .ruff_cache
