# Every target says what it does, can be run again safely, and fails with a sentence that names the
# remedy. CLUSTER=existing takes the cluster of KUBECONFIG instead of one that is started here;
# OVERLAY is a name in manifests/overlays or a folder of your own.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .local/tools
UV := $(shell command -v uv 2>/dev/null || echo $(TOOLS)/bin/uv)
# Changed when the environment has to be: a fresh clone, a new lock file.
READY := $(VENV)/.ready
TESTS := tests/unit tests/property tests/integration tests/e2e
GENERATED := crds manifests/instance-types docs/rules docs/why.md schemas
export OVERLAY
# The kubectl that comes with our cluster, for machines that have none.
export PATH := $(PATH):$(CURDIR)/.local/bin

##@ Start here

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(READY) ## From nothing to a finished pipeline: cluster, images, operator, example, results
	@$(BIN)/python -m hack.demo

.PHONY: setup
setup: $(READY) ## Make the Python environment in .venv, exactly as the lock file has it
	@echo "$(VENV) is ready"

# Compiled now, as nobody does it later where PYTHONDONTWRITEBYTECODE is set: commands start in half the time.
$(READY): pyproject.toml uv.lock | $(UV)
	@echo "making $(VENV) as uv.lock has it"
	@UV_PYTHON_DOWNLOADS=never $(UV) sync --locked --quiet --compile-bytecode || \
	  { echo "setup: no environment: it takes Python >= 3.11 and a package index, see above" >&2; exit 1; }
	@$(BIN)/python -m compileall -q operator/src
	@touch $@

$(TOOLS)/bin/uv: hack/pins/uv.txt
	@echo "installing uv into $(TOOLS)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "setup: $(PYTHON) is older than 3.11; give another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(TOOLS) || \
	  { echo "setup: $(PYTHON) has no venv; install python3-venv, or uv itself" >&2; exit 1; }
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

##@ While developing

.PHONY: fmt
fmt: $(READY) ## Format the code and repair what the linter can
	@$(BIN)/ruff check --fix --exit-zero --quiet
	@$(BIN)/ruff format

.PHONY: lint
lint: $(READY) ## Check format and style
	@$(BIN)/ruff format --check --quiet || { echo "lint: not formatted; run: make fmt" >&2; exit 1; }
	@$(BIN)/ruff check

.PHONY: type
type: $(READY) ## Check the types
	@$(BIN)/mypy

.PHONY: imports
imports: $(READY) ## Check that the rooms of the package import only what they may
	@$(BIN)/lint-imports

.PHONY: generate
generate: $(READY) ## Write all generated files: CRDs, their reference, machine types, rules, schema
	@$(BIN)/python -m gradient_operator.api.crd crds
	@$(BIN)/python -m gradient_operator.api.reference crds/README.md
	@$(BIN)/python -m gradient_operator.api.catalogue manifests/instance-types
	@$(BIN)/python -m gradient_operator.workflow.rules.pages docs/rules
	@$(BIN)/python -m gradient_operator.engine.reason_pages docs/why.md
	@$(BIN)/python -m gradient_operator.workflow.schema schemas/gradient-workflow.schema.json

.PHONY: docs
docs: generate ## Write the generated pages: crds/README.md (all fields), docs/rules (all checks)
	@echo "written: crds/README.md docs/rules"

.PHONY: verify
verify: generate ## Write all generated files and fail if git sees a difference
	@changed=$$(git status --porcelain -- $(GENERATED)); \
	  [ -z "$$changed" ] || { echo "$$changed"; \
	  echo "verify: the files above differ from the last commit; look at them and commit" >&2; exit 1; }
	@echo "all generated files are up to date"

.PHONY: generated
generated: $(READY)
	@$(BIN)/python -m gradient_operator.api.crd --check crds
	@$(BIN)/python -m gradient_operator.api.reference --check crds/README.md
	@$(BIN)/python -m gradient_operator.api.catalogue --check manifests/instance-types
	@$(BIN)/python -m gradient_operator.workflow.rules.pages --check docs/rules
	@$(BIN)/python -m gradient_operator.engine.reason_pages --check docs/why.md
	@$(BIN)/python -m gradient_operator.workflow.schema --check schemas/gradient-workflow.schema.json

##@ Tests

.PHONY: unit
unit: $(READY) ## Fast tests, without any cluster
	@$(BIN)/pytest tests/unit

.PHONY: property
property: $(READY) ## Tests of invariants with generated examples
	@$(BIN)/pytest tests/property

.PHONY: integration
integration: $(READY) ## Tests against a real API server and a real S3 server, which they start
	@$(BIN)/pytest tests/integration

.PHONY: e2e
e2e: $(READY) ## Tests on a real cluster, which they start unless it is up
	@$(BIN)/pytest tests/e2e

.PHONY: test
test: lint type imports generated parts ## Everything that CI runs
	@$(BIN)/pytest $(TESTS) --numprocesses 2 --dist loadscope

# Before the tests, as no test's time limit covers ten minutes of Go compiler; and it is seen.
.PHONY: parts
parts: ## Build the programs and images that the tests start, if they are not built
	@$(PYTHON) -m hack.cluster build --name simulated
	@$(PYTHON) -m hack.cluster build
	@[ "$${CLUSTER:-}" = existing ] || $(PYTHON) -m hack.images build

.PHONY: bench
bench: $(READY) ## Measure the operator and the transfer of data, and print the tables
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.data

##@ Cluster

.PHONY: cluster
cluster: ## Start a cluster: kind where Docker runs, else processes; kubeconfig in .local/kubeconfig
	@$(PYTHON) -m hack.cluster up

.PHONY: cluster-down
cluster-down: ## Stop that cluster and remove what it left
	@$(PYTHON) -m hack.cluster down

.PHONY: images
images: ## Build the images of operator, helpers and object storage
	@$(PYTHON) -m hack.images build

.PHONY: load
load: ## Build the images and give them to the nodes of the cluster
	@$(PYTHON) -m hack.images load

.PHONY: install
install: ## Install CRDs, operator, object storage and machine types, and wait until they are ready
	@$(PYTHON) -m hack.install

.PHONY: uninstall
uninstall: ## Remove all of it with all runs and datasets; leaves nothing, even if the operator is gone
	@$(PYTHON) -m hack.uninstall
