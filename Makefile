# Everything from a clean clone: each target sets up what it needs in .venv, once.
# Without a GPU: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make demo fetches less.

SHELL := /bin/sh
VENV := .venv
RUN := $(VENV)/bin/python
CODE := snellen tests tools bench examples
JOBS ?= 2
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt
# The first Python that is new enough; `make PYTHON=/path/to/python demo` names another.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# One torch thread a process: two threads on two busy cores cost ten times as much.
export OMP_NUM_THREADS ?= 1
export MPLBACKEND ?= Agg

.PHONY: help demo test check format style bench docs lessons parity
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##  */\1\t/p' Makefile | expand -t 10

demo: $(VENV)/.core  ## train on real digits under the doctor's eyes, then with planted faults
	@$(RUN) examples/demo.py

test: $(VENV)/.dev  ## all tests and all examples of docstrings and pages
	@$(RUN) -m pytest -n $(JOBS)

check: $(VENV)/.dev  ## format, lint, types, import table, public names; no training
	@$(RUN) -m ruff format --check --quiet $(CODE) || { echo "make format mends this"; exit 1; }
	@$(RUN) -m ruff check --quiet $(CODE)
	@$(RUN) -m mypy
	@$(RUN) -m pytest -n $(JOBS) tests/test_imports.py tests/test_public_names.py

format: $(VENV)/.dev  ## write the code as `check` wants it
	@$(RUN) -m ruff format $(CODE)
	@$(RUN) -m ruff check --fix $(CODE)

style: $(VENV)/.core  ## the indicators of good style, with goal and measured value
	@$(RUN) tools/style.py

parity: $(VENV)/.core .oracles/.made  ## compare every network with torchvision's or timm's
	@$(RUN) tests/parity/check.py
	@$(RUN) tests/parity/detectors.py
	@$(RUN) tests/parity/segmenters.py
	@$(RUN) tests/parity/segmenters.py fcn_resnet101

bench: $(VENV)/.core  ## measure speed and scores again, beside other tools
	@$(MAKE) --no-print-directory .peers/.made || echo "other tools are left out"
	@$(RUN) bench/run.py

lessons: $(VENV)/.core  ## measure and draw the pictures of the notes' lessons again
	@$(RUN) examples/lessons all --out docs/lessons
	@$(RUN) tools/docs.py

docs: $(VENV)/.core  ## write the catalogue pages from the code
	@$(RUN) tools/docs.py

# Stamps: a second run makes no network call. setuptools comes first, so that the build of the
# package itself needs no isolated environment (and so no download).
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found" \
	"(python3 is $$(python3 --version 2>&1)); try: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "setting up $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing Snellen and what it needs (once) ..."
	@$(INSTALL) setuptools
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

# In a folder of their own and without what they ask for: they would bring another torch.
.oracles/.made: | $(VENV)/.made
	@echo "installing the references (once) ..."
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	--target .oracles torchvision==0.28.0 timm==1.0.31
	@touch $@

# In a virtual environment of their own, with the same PyTorch: no torchvision, whose operations
# would have to fit, and nothing of theirs in ours.
.peers/.made: constraints.txt | $(VENV)/.made
	@echo "installing the tools that bench compares with (once) ..."
	@$(RUN) -m venv .peers
	@.peers/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	torch scikit-learn lightning skorch accelerate keras
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.core
	@echo "installing the tools of the tests (once) ..."
	@$(INSTALL) --no-build-isolation -e '.[dev,fast,export,search,studio]'
	@touch $@
