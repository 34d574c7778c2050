# The two commands: `make quickstart` and `make test`. Each sets up all it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := results/quickstart
DATASET := data/movielens-100k
LIMIT ?= 150
ROWS ?= template,successors,action:newest-3,popularity,item-knn-lift,markov-counts,markov-lift

.DEFAULT_GOAL := help
.PHONY: help setup tools browser quickstart test bench lint types clean

help: ## Show what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed ## Create the virtual environment and install what the main job needs
tools: $(VENV)/.tools ## Install training, the page and the test tools as well

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	@# Scripts that lie elsewhere find the folders of this checkout by their own names, too.
	echo '$(CURDIR)' > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/logs2lang_checkout.pth"
	touch $@

$(VENV)/.tools: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev,space,train]'
	touch $@

quickstart: setup ## Build MovieLens-100K, write logs as text, recommend from each text, print the table
	$(BIN)/logs2lang build movielens-100k --output $(DATASET)
	$(BIN)/logs2lang show $(DATASET) --history-length 8
	$(BIN)/logs2lang evaluate $(DATASET) --rows $(ROWS) --answer title --limit $(LIMIT) --history-length 8 --output $(RUN)

# The page is tested in a real browser. Debian's Chromium is installed where this may be done without a question.
browser: ## Install the Chromium that the tests of the page drive
	@if command -v chromium || command -v chromium-browser || command -v google-chrome; then exit 0; fi >/dev/null; \
	as_root=$$([ "$$(id -u)" = 0 ] || echo "sudo -n"); \
	{ command -v apt-get >/dev/null && $$as_root apt-get update -qq && \
		$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || \
	echo "No Chromium here, and it could not be installed: the tests of the page will be skipped."

# Two workers on as many cores: threads of one would only wait for those of the other.
test: tools browser lint ## Lint, then run every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

bench: tools ## Measure speed, as ratios side by side in one run
	$(BIN)/python -m pytest --override-ini addopts= --import-mode=importlib -s tests/benchmarks

lint: tools types ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Type checkers do not ask an installation where a module lies. These links lay the package out as the wheel does.
types:
	@mkdir -p $(VENV)/types/logs2lang
	@ln -sfn $(CURDIR)/hub_recipes/* $(CURDIR)/dataset_builders $(CURDIR)/model_cards $(CURDIR)/space $(VENV)/types/logs2lang/

clean: ## Remove the virtual environment and everything built
	rm -rf $(VENV) data results runs .pytest_cache .mypy_cache .ruff_cache
