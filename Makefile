# Two commands for a fresh machine: `make report` (the main job) and `make test`.
# Both make their own environment in .venv; PYTHON and VENV can be set.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
A ?= musicnn-msd
B ?= chordnet

.PHONY: report test slow clean

report: $(VENV)/.demo
	$(BIN)/rsa compare --a $(A) --b $(B) --out report
	cp report/report.pdf report.pdf
	@echo report.pdf

test: $(VENV)/.dev
	$(BIN)/python -m pytest

slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python setup.cfg
	$(BIN)/python -m pip install -q -e '.[demo]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python setup.cfg
	$(BIN)/python -m pip install -q -e '.[dev,demo]'
	touch $@

clean:
	rm -rf $(VENV) report report.pdf
