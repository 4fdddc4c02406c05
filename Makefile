# Everything a newcomer needs: `make run` to see it work, `make test` to see it proven.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV := .venv/bin/uv
BIN := .venv/bin
DATA ?= data
PORT ?= 8080
WORKERS ?= 4

.DEFAULT_GOAL := help
.PHONY: help setup run test unit check format bench docs messages clean

help: ## Say what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/ready ## Make the environment (.venv), with every dependency as locked

.venv/ready: pyproject.toml uv.lock
	@test -n "$(PYTHON)" || \
	  { echo "Omroeper needs Python 3.11 or newer; name one with make PYTHON=/path/to/python"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@UV_PROJECT_ENVIRONMENT=.venv $(UV) sync --system-certs --locked --inexact --quiet
	@touch $@

run: setup ## Run everything on this machine, with example subscribers and a sample opportunity
	@exec $(BIN)/omroeper up --demo --data $(DATA) --port $(PORT)

test: setup ## Run every test, on real Kafka, PostgreSQL, SMTP and HTTP
	@scripts/test-setup
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

unit: setup ## Run the tests of the rules alone, in seconds
	$(BIN)/pytest tests/unit -q

check: setup ## Lint, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Measure rates and latencies on this machine; keeps them in docs/performance.md
	@scripts/test-setup
	$(BIN)/python -m scripts.bench

messages: setup ## Compare the texts with their translations, and add what is to be translated
	$(BIN)/python -m scripts.messages

docs: setup ## Write the documents that are generated from the code
	$(BIN)/python -m scripts.docs

clean: ## Remove the environment and the caches (not the data)
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
