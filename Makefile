# The two main commands are `make quickstart` and `make test`. Each sets up everything it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := results/quickstart
DATASET := data/movielens-100k
LIMIT ?= 150
ROWS ?= template,successors,action,popularity,item-knn-lift,markov-counts,markov-lift
VERBALIZER ?= model_cards/smollm2-135m-instruct-movielens-100k-verbalizer-action

.DEFAULT_GOAL := help
.PHONY: help setup tools browser java services quickstart test bench lint types clean

help: ## Show the available targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed ## Create the virtual environment and install the basic dependencies
tools: $(VENV)/.tools ## Also install the dependencies of training, the demo and the tests

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	@# Scripts that lie elsewhere find the folders of this checkout by their own names, too.
	echo '$(CURDIR)' > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/logs2lang_checkout.pth"
	touch $@

$(VENV)/.tools: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev,embeddings,ray,s3,serve,space,spark,stores,train]'
	touch $@

quickstart: setup ## Build MovieLens-100K, write logs as text, recommend from each text, print the table
	$(BIN)/logs2lang build movielens-100k --output $(DATASET)
	$(BIN)/logs2lang show $(DATASET) --history-length 8
	$(BIN)/logs2lang evaluate $(DATASET) --rows $(ROWS) --answer title --limit $(LIMIT) --history-length 8 \
		--matmul-precision medium --verbalizer-adapter action=$(VERBALIZER) --output $(RUN)

# The demo is tested in a real browser. Debian's Chromium is installed if that is possible without a prompt.
browser: ## Install Chromium for the browser tests of the demo
	@if command -v chromium || command -v chromium-browser || command -v google-chrome; then exit 0; fi >/dev/null; \
	as_root=$$([ "$$(id -u)" = 0 ] || echo "sudo -n"); \
	{ command -v apt-get >/dev/null && $$as_root apt-get update -qq && \
		$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || \
	echo "Chromium was not found and could not be installed: the browser tests will be skipped."

# Builds on Spark are tested with a local Spark, which runs on Java.
java: ## Install Java 17 for the tests of builds on Spark
	@if command -v java; then exit 0; fi >/dev/null; \
	as_root=$$([ "$$(id -u)" = 0 ] || echo "sudo -n"); \
	{ command -v apt-get >/dev/null && $$as_root apt-get update -qq && \
		$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openjdk-17-jre-headless >/dev/null; } || \
	echo "Java was not found and could not be installed: the tests of builds on Spark will be skipped."

# Stores of texts are tested on the real servers, which the tests start themselves, on ports and folders of their own.
services: ## Install PostgreSQL and Redis for the tests of `logs2lang refresh`
	@have() { ls /usr/lib/postgresql/*/bin/postgres || command -v postgres; }; \
	if have && command -v redis-server; then exit 0; fi >/dev/null 2>&1; \
	as_root=$$([ "$$(id -u)" = 0 ] || echo "sudo -n"); \
	{ command -v apt-get >/dev/null && $$as_root apt-get update -qq && \
		$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql redis-server >/dev/null; } || \
	echo "PostgreSQL and Redis were not found and could not be installed: their tests will be skipped."

# Two workers on two cores: more threads per worker would only compete with each other. Tests that share a Spark go to
# one of them.
test: tools browser java services lint ## Lint, then run every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

bench: tools ## Measure speed as ratios, side by side in one run
	$(BIN)/python -m pytest --override-ini addopts= --import-mode=importlib -s tests/benchmarks

lint: tools types ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Type checkers do not resolve editable installs. These links lay the package out as in the wheel.
types:
	@mkdir -p $(VENV)/types/logs2lang
	@ln -sfn $(CURDIR)/hub_recipes/* $(CURDIR)/dataset_builders $(CURDIR)/model_cards $(CURDIR)/space $(VENV)/types/logs2lang/

clean: ## Remove the virtual environment and everything built
	rm -rf $(VENV) data results runs .pytest_cache .mypy_cache .ruff_cache
