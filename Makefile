# Every target makes .venv itself where it is missing. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint check demo-model bench clean

PY := .venv/bin/python
DEMO_TASK ?= sample_tasks/grade
DEMO_BUDGET ?= 1500
DEMO_OUT ?= prompt.yaml

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## Make .venv with all that is needed (compiles llama.cpp once)
	@sh .ci/setup dev

demo: setup ## Adapt a prompt on a sample task with the embedded model, in both stages
	.venv/bin/idealprompt search $(DEMO_TASK) --reflect --budget $(DEMO_BUDGET) -o $(DEMO_OUT)

test: setup ## Run the tests
	$(PY) -m pytest

lint: setup ## Style and types, without the tests
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

check: lint test ## Style, types and tests

demo-model: ## Train the embedded model again (installs PyTorch; minutes on a GPU, hours without)
	@sh .ci/setup dev,train
	$(PY) -m training.make

bench: setup ## Measure the samples (a minute) and the engine against its rivals (half an hour)
	$(PY) -m benchmarks.samples
	$(PY) -m benchmarks.engine

clean: ## Remove .venv, caches and build folders
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache *.egg-info
