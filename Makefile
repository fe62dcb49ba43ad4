PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench docs clean install

help: ## list the verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[demo,multilingual,parquet]'
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed ## make .venv with everything the demo needs

demo: $(VENV)/.installed ## load MovieLens, learn from every rating, open the live page
	$(BIN)/instep demo

test: $(VENV)/.dev lint ## everything, from nothing
	$(BIN)/pytest --cov --cov-report=term

lint: $(VENV)/.dev ## ruff, mypy, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## the quick form of every benchmark
	for b in benchmarks/*.py; do $(BIN)/python $$b --quick || exit 1; done

docs: $(VENV)/.dev ## run the code in the docs
	$(BIN)/pytest tests/docs

clean: ## remove what the other verbs made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build dist
