# Two commands for a fresh machine: `make report` (the main job) and `make test`.
# Both make their own environment in .venv; PYTHON, VENV and STUDY can be set.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STUDY ?= trained-taggers

.PHONY: report test slow faults fuzz scale clean

# the same command goes on where it stopped; finished parts are kept
report: $(VENV)/.demo
	$(BIN)/rsa study $(STUDY) --out build/$(STUDY)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist loadfile

# suites that the default run leaves out
slow faults fuzz scale: $(VENV)/.dev
	$(BIN)/python -m pytest -m $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python setup.cfg
	$(BIN)/python -m pip install -q -e '.[demo]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python setup.cfg
	$(BIN)/python -m pip install -q -e '.[dev,demo]'
	touch $@

clean:
	rm -rf $(VENV) build
