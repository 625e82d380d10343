# Everything one does with lotPro. `make` alone lists the targets; CI runs the same ones.

SHELL := /bin/sh
# Where the surroundings forbid byte code, every start would compile everything it imports anew: seconds each time.
unexport PYTHONDONTWRITEBYTECODE
PYTHON := .venv/bin/python
# Of the tests' time a third is waiting, for locks to end and processes to start: one worker more than two cores need.
WORKERS ?= 3
.DEFAULT_GOAL := help
.PHONY: help setup run reset demo seed test e2e check lint types contracts drift proto lock migration bench dlq

help: ## Show this list
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

setup: ## Make .venv from requirements.lock (does nothing when it is up to date)
	@sh localcloud/setup.sh

run: setup ## Start everything and print the addresses and demo sign-ins; Ctrl-C stops it
	@exec $(PYTHON) -m lotpro_localcloud up

reset: setup ## Forget everything local (.lotpro/)
	@$(PYTHON) -m lotpro_localcloud reset

demo: setup ## Drive the main job through the running stack's gateway, step by step
	@$(PYTHON) -m tests.e2e.demo

seed: setup ## Fill the demo organisation of the running stack, where it is not filled yet
	@$(PYTHON) -m lotpro_localcloud seed

test: setup ## Run every test, the end-to-end flow included
	@$(PYTHON) -m pytest -n $(WORKERS) --dist loadgroup -q $(ARGS)

e2e: setup ## Run the tests of the whole stack only
	@$(PYTHON) -m pytest -q tests/e2e tests/chaos $(ARGS)

check: setup ## Everything that can be judged without running the suite
	@$(PYTHON) -m tests.check $(ARGS)

proto: setup ## Regenerate what is generated: contracts, OpenAPI documents, service map
	@sh proto/generate.sh && $(PYTHON) -m tests.check --write

lock: setup ## Resolve the dependencies of all distributions into requirements.lock, hashed, without hosts
	@.venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
	    --custom-compile-command "make lock" --python-version 3.11 --group dev $(UPGRADE) \
	    --no-emit-package lotpro-contracts --no-emit-package lotpro-kit --no-emit-package lotpro-policy \
	    */pyproject.toml services/*/pyproject.toml --output-file requirements.lock

migration: setup ## Begin a migration: make migration SERVICE=inventory NAME=add_colour
	@$(PYTHON) -m lotpro_localcloud migration "$(SERVICE)" "$(NAME)"

bench: setup ## Measure; one JSON line a figure (NAME=gateway for one of them)
	@$(PYTHON) -m bench $(NAME)

dlq: setup ## List the dead letters of the running stack (ARGS=--redrive sends them again)
	@$(PYTHON) -m lotpro_localcloud dlq $(ARGS)
