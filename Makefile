# Every command of this project, defined once: the README, the pre-commit hooks and .ci/run call these targets.
# `make demo` and `make test` set everything up the first time; they need python3 (3.11 or newer), its venv, and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
OPTIONS ?=
TESTS ?= tests

.DEFAULT_GOAL := help
.PHONY: help venv demo test check lint types contracts format compose-config clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  Variables: PYTHON=$(PYTHON) (which python3), VENV=$(VENV) (where the environment is)"

venv: $(STAMP) ## create the virtual environment and install the project, unless that is done

demo: $(STAMP) ## run a whole job and print its answer; KEEP=1 leaves the service up, OPTIONS="..." is handed on
	$(BIN)/thermowell demo $(if $(KEEP),--keep) $(OPTIONS)

test: $(STAMP) ## run the tests, all of them; TESTS=tests/search runs a part
	$(BIN)/pytest $(TESTS) $(OPTIONS)

check: lint types contracts ## lint, types and import contracts

lint: $(STAMP) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

contracts: $(STAMP) ## import-linter: which room may import which
	$(BIN)/lint-imports --no-logo --no-cache

format: $(STAMP) ## let ruff repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

compose-config: ## check docker-compose.yml with docker-compose (or docker compose)
	@$(COMPOSE) version >/dev/null 2>&1 || { \
	  echo "docker-compose is missing. On Debian and Ubuntu: apt-get install docker-compose" >&2; exit 1; }
	POSTGRES_PASSWORD=$${POSTGRES_PASSWORD:-unset} $(COMPOSE) -f docker-compose.yml config --quiet
	POSTGRES_PASSWORD=$${POSTGRES_PASSWORD:-unset} $(COMPOSE) -f docker-compose.yml -f docker-compose.gpu.yml config --quiet

clean: ## remove the virtual environment and all caches
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# pip's own configuration counts (index, constraints, proxies). The stamp is as old as the last install, so that only a
# change of what is installed sets it off again.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Thermowell needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	       "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) comes without venv. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing Thermowell and what it needs into $(VENV) (with torch: some minutes and up to 6 GB the first time)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -e '.[worker,dev]'
	@touch $@
