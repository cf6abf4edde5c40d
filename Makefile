PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
BENCHMARKS := $(filter-out common,$(basename $(notdir $(wildcard benchmarks/*.py))))

.PHONY: demo test lint check bench clean

demo: $(READY)
	$(BIN)/wsolbench demo --out demo

test: $(READY)
	$(BIN)/python -m pytest -n auto

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: $(READY)
	$(BIN)/wsolbench leaderboard check

bench: $(READY)
	@for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python -m benchmarks.$$script || exit 1; done

$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

clean:
	rm -rf .venv build *.egg-info demo
