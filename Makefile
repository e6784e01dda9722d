# Everything runs in .venv, which the first target that needs it makes. Only Python 3.11+ and make are needed.
PYTHON ?= python3
PROFILE ?= quick
KILLS ?= 1000
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install check test quickstart reproduce-all publish bench bench-compare torture clean

help:  ## Show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: .venv/.installed  ## Make .venv and install metarl with the tested versions

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

check: install  ## Lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: install  ## All tests, on two cores
	$(BIN)/python -m pytest -n 2 --dist loadscope

quickstart: install  ## Train ProMP on HalfCheetahFwdBack for 25 iterations and draw what it learned (3 minutes)
	$(BIN)/metarl train --algo promp --env HalfCheetahFwdBack --iterations 25 --threads 2 \
		--out results/local/quickstart/promp --overwrite
	$(BIN)/metarl plot adaptation --results results/local/quickstart --out results/local/quickstart

reproduce-all: install  ## Run, draw and compare all twelve figures, PROFILE=quick (40 minutes on 2 cores) or smoke
	$(BIN)/metarl reproduce --all --profile $(PROFILE)

publish: install  ## Copy your results of PROFILE, without checkpoints, to results/published, and draw all figures
	mkdir -p results/published/$(PROFILE)
	tar -C results/local/$(PROFILE) --exclude='checkpoint*.pt' --exclude=.lock --exclude='*.tmp' --exclude=comparison.csv \
		--exclude=./figures --exclude=./variance --exclude=./train --exclude=./set-aside -cf - . | tar -C results/published/$(PROFILE) -xf -
	$(BIN)/metarl plot --all

bench: install  ## Speed and memory, as one table; wants a machine that is otherwise quiet (QUICK=1: a trial, 2 minutes)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

bench-compare: install  ## How two files of make bench compare: A=benchmarks/results/….json B=…
	$(BIN)/python -m benchmarks --compare $(A) $(B)

torture: install  ## Kill runs KILLS times (1000), at random moments and file operations; each must end the same
	$(BIN)/python benchmarks/kills.py --count $(KILLS)

clean:  ## Remove .venv and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
