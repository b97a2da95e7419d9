# Every command of this project, defined once: the README, the pre-commit hooks and .ci/run call these targets.
# `make demo` and `make test` set everything up the first time; they need python3 (3.11 or newer), its venv, and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUNTIME := $(VENV)/.installed-runtime
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
OPTIONS ?=
TESTS ?= tests
# Half as many again as there are cores: much of a test is waiting for processes, servers and databases.
WORKERS ?= $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-own docs style test test-containers container-engine test-slow test-browser check lint types contracts audit format compose-config chaos clean
.PHONY: bench-throughput bench-peers-data bench-real-sizes bench-memory bench-job bench-views bench-precision bench-coverage bench-guidance bench-study bench-table bench-confirmation bench-search bench-ranges bench-verdict bench-ridge bench-bias bench-theory bench-luck bench-overhead bench-load bench-claims
SCALE := $(if $(QUICK),quick,full)

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  Variables: PYTHON=$(PYTHON) (which python3), VENV=$(VENV) (where the environment is)"

venv: $(STAMP) ## create the virtual environment and install the project, unless that is done

demo: $(RUNTIME) ## run a whole job and print its answer; KEEP=1 leaves the service up, OPTIONS="..." is handed on
	$(BIN)/thermowell demo $(if $(KEEP),--keep) $(OPTIONS)

demo-own: $(RUNTIME) ## the same with a PyTorch script of one's own, which an agent runs; KEEP=1, OPTIONS="..."
	$(BIN)/thermowell demo-own $(if $(KEEP),--keep) $(OPTIONS)

test: $(STAMP) ## run the tests, file by file on every core; TESTS=tests/search runs a part
	$(BIN)/pytest -n $(WORKERS) --dist loadfile $(TESTS) $(OPTIONS)

test-slow: $(STAMP) ## run the tests that take long, which `make test` leaves out
	$(BIN)/pytest -n $$(nproc) --dist loadfile -m 'slow and not containers' $(TESTS) $(OPTIONS)

test-browser: $(STAMP) ## run the browser tests alone; their screenshots lie in tests/output/browser
	$(BIN)/pytest -m browser tests/browser $(OPTIONS)

test-containers: $(STAMP) ## build the images and run docker-compose.yml (root, docker.io, docker-compose, debootstrap)
	$(BIN)/pytest -m containers tests/containers $(OPTIONS)

container-engine: $(STAMP) ## say whether a container engine can be had here; exit status 1 where not
	@$(BIN)/python -m tests.containers.engine

check: lint types contracts ## lint, types and import contracts

lint: $(STAMP) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

contracts: $(STAMP) ## import-linter: which room may import which
	$(BIN)/lint-imports --no-logo --no-cache

audit: $(STAMP) ## look the installed packages up among known vulnerabilities; says loudly where none can be asked
	.ci/audit $(BIN)

format: $(STAMP) ## let ruff repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP) ## build the documentation site into build/site; a link or a reference that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

chaos: $(STAMP) ## kill, freeze and cut off workers, restart the database, fill the disk, and look for what was lost; QUICK=1 is smaller
	$(BIN)/python -m benchmarks.serving.chaos $(if $(QUICK),--quick) --keep chaos-$(SCALE) $(OPTIONS)

compose-config: ## check docker-compose.yml with docker-compose (or docker compose)
	@$(COMPOSE) version >/dev/null 2>&1 || { \
	  echo "docker-compose is missing. On Debian and Ubuntu: apt-get install docker-compose" >&2; exit 1; }
	$(COMPOSE) -f docker-compose.yml config --quiet
	$(COMPOSE) -f docker-compose.yml -f docker-compose.gpu.yml config --quiet
	THERMOWELL_ARTIFACT_STORE=s3://bucket $(COMPOSE) -f docker-compose.yml -f docker-compose.s3.yml config --quiet

style: $(STAMP) ## figures of the code's language and structure (OPTIONS="--beside PATH" for another package's)
	$(BIN)/python -m benchmarks.common.style $(OPTIONS)

bench-throughput: $(STAMP) ## images/s against the loop and the peers, in under 30 minutes; QUICK=1: under 5
	$(BIN)/python -m benchmarks.engines.throughput $(if $(QUICK),--quick) --keep throughput-$(SCALE)-$$(nproc)-cores $(OPTIONS)

bench-peers-data: $(STAMP) ## one student of one given teacher, by torchdistill and by a job: accuracy, speed; QUICK=1 is shorter
	$(BIN)/python -m benchmarks.engines.peers_data $(if $(QUICK),--quick) --keep peers-data-$(SCALE)-$$(nproc)-cores $(OPTIONS)

bench-real-sizes: $(STAMP) ## a job on 100,000 pictures of 128 pixels: memory, disk, images/s beside torchdistill; about 11 GB of /tmp; QUICK=1: 2,000
	$(BIN)/python -m benchmarks.engines.real_sizes $(if $(QUICK),--quick) --keep real-sizes-$(SCALE)-$$(nproc)-cores $(OPTIONS)

bench-memory: $(STAMP) ## memory of one more student, in a bank and in a loop
	$(BIN)/python -m benchmarks.engines.memory $(if $(QUICK),--quick) --keep memory-$(SCALE) $(OPTIONS)

bench-job: $(STAMP) ## a search of 197 configurations, as chosen and with the plain loop, second by second
	$(BIN)/python -m benchmarks.engines.job $(if $(QUICK),--quick) --keep search-$(SCALE)-$$(nproc)-cores $(OPTIONS)

bench-views: $(STAMP) ## how many augmented views are enough (OPTIONS="--draws 4" for a glance)
	$(BIN)/python -m benchmarks.engines.views --keep views $(OPTIONS)

bench-precision: $(STAMP) ## bf16 against fp32: accuracy and speed (OPTIONS="--seeds 4" for a glance)
	$(BIN)/python -m benchmarks.engines.precision --keep precision $(OPTIONS)

bench-table: $(STAMP) ## the table of learning curves, from where it stopped: about an hour (OPTIONS="--only NAME")
	$(BIN)/python -m benchmarks.table $(OPTIONS)

bench-confirmation: $(STAMP) ## what confirming costs and buys, and how often a race drops the best
	$(BIN)/python -m benchmarks.calibration.confirmation $(OPTIONS)

bench-coverage: $(STAMP) ## do the temperature response's sets and bands hold the truth?
	$(BIN)/python -m benchmarks.calibration.response_coverage $(OPTIONS)

bench-guidance: $(STAMP) ## does a study's guidance hold the truth? (OPTIONS="20" for a glance)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.calibration.guidance $(OPTIONS)

bench-study: $(STAMP) ## are a study's answers on costs, ranges and gains true? hours; QUICK=1: five minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.calibration.study $(if $(QUICK),--quick) --keep study-truth-$(SCALE) $(OPTIONS)

bench-bias: $(STAMP) ## does early stopping prefer the wrong temperatures, and what does that cost? minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.calibration.bias --keep bias $(OPTIONS)

bench-luck: $(STAMP) ## do runs of one seed share their luck, and do intervals hold then? a quarter of an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.searching.luck --searches 40 --keep luck $(OPTIONS)

bench-theory: $(STAMP) ## the predictions of docs/theory.md on the open tables, the kept studies and fresh students: ten minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.calibration.theory_teachers --keep theory-teachers $(OPTIONS)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.calibration.theory_fresh --keep theory-fresh $(OPTIONS)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.calibration.theory --keep theory

bench-overhead: $(STAMP) ## storage and sampler per trial, against plain Optuna; QUICK=1: under five minutes
	$(BIN)/python -m benchmarks.serving.overhead $(if $(QUICK),--quick) --keep overhead-$(SCALE) $(OPTIONS)

bench-load: $(STAMP) ## 200 clients at once on 10,000 trials, against Optuna Dashboard; QUICK=1: under five minutes
	$(BIN)/python -m benchmarks.serving.load $(if $(QUICK),--quick) --keep load-$(SCALE)-$$(nproc)-cores $(OPTIONS)
	$(BIN)/python -m benchmarks.serving.pages --keep pages-$$(nproc)-cores

bench-claims: $(STAMP) ## claims and reports of clients over HTTP, beside Optuna's gRPC proxy and Vizier's service; QUICK=1 is shorter
	$(BIN)/python -m benchmarks.serving.claims $(if $(QUICK),--quick) --keep claims-$(SCALE) $(OPTIONS)

bench-search: $(STAMP) ## regrets at equal trainings beside peers, OPTIONS="--before CHECKOUT" to compare; QUICK=1: five minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.searching.cost $(if $(QUICK),--quick) --keep search-cost-$(SCALE) $(OPTIONS)

bench-ranges: $(STAMP) ## which sampler finds more over ranges, simulated between the table's cells? half an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.searching.ranges --keep ranges $(OPTIONS)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.searching.ranges --sealed --keep ranges-sealed $(OPTIONS)

bench-verdict: $(STAMP) ## what whole jobs' verdicts lose, OPTIONS="--before CHECKOUT" to compare; QUICK=1: five minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.verdict $(if $(QUICK),--quick) --keep verdict-$(SCALE) $(OPTIONS)

bench-ridge: $(STAMP) ## do sets, bands and bounds hold over ranges, with the sampler that is used?
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.verdict.ridge --searches 1000 --keep ridge $(OPTIONS)

clean: ## remove the virtual environment and all caches
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache benchmarks/.cache

# pip's own configuration counts (index, constraints, proxies). A stamp is as old as the last install, so that only a
# change of what is installed sets it off again. Who only runs the service needs no package of the tests.
$(RUNTIME): pyproject.toml | $(VENV)/bin/pip
	@echo "Installing Thermowell and what it runs with into $(VENV): about 85 packages, with torch for CUDA about 6 GB on disk"
	$(BIN)/pip install -e '.[worker]'
	@touch $@

$(STAMP): pyproject.toml | $(VENV)/bin/pip
	@echo "Installing Thermowell, its tests and tools into $(VENV): about 280 packages, with torch for CUDA about 7.5 GB on disk"
	$(BIN)/pip install -e '.[worker,dev]'
	@touch $(RUNTIME) $@

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Thermowell needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	       "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) comes without venv. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
