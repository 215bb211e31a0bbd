# Everything one needs, from nothing but Python 3.11 (with venv), make and git. `make` alone prints this help.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test test-deep chaos lint format bench bench-large lock clean

help: ## Print every target with a line of help
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment is made anew where a lock has changed; each stamp says which lock it was made from.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit("Schedule Service needs Python 3.11 or newer: make PYTHON=…") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: requirements-run.lock pyproject.toml | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-run.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements-test.lock pyproject.toml | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.run

run: $(VENV)/.run ## Serve everything on this machine: API, worker, Postgres, Valkey, demo engine (ARGS="--port 8001")
	@exec $(BIN)/schedule-service dev $(ARGS)

# Tests mostly wait, for servers and processes: three at once on two cores. A file's tests share what it starts, and stay together.
test: $(VENV)/.test ## Run the whole suite against embedded servers, in random order (ARGS="-k cron")
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-deep: $(VENV)/.test ## The same with 100 000 examples a property, and the slow tests
	HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest -m "" --timeout 3600 $(ARGS)

chaos: $(VENV)/.test ## Break everything for an hour, and check each occurrence (ARGS="--seconds 600 --seed 7")
	$(BIN)/python -m tests.chaos $(ARGS)

lint: $(VENV)/.test ## Check style, types, and that imports point one way
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test ## Format the code, and mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test ## Measure everything beside a bare POST loop, in some fifteen minutes (ARGS="--only burst stages")
	$(BIN)/python -m bench $(ARGS)

bench-large: $(VENV)/.test ## What grows, up to ten million schedules: half an hour, and 10 GB of disk
	$(BIN)/python -m bench --only growth --sizes 10000 100000 1000000 10000000

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header pyproject.toml requirements-build.in

lock: | $(VENV)/.made ## Renew the locks: newest versions, with hashes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) --extra test --upgrade -o requirements-test.lock
	$(COMPILE) -c requirements-test.lock --extra embedded -o requirements-run.lock
	$(COMPILE) -c requirements-test.lock -o requirements.lock

clean: ## Remove the virtual environment and caches; data in .data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
