PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
LOWEST := .venv-lowest
DOCS := $(addprefix tests/,docs/test_site.py docs/test_examples.py docs/test_pages.py \
	docs/test_score_pages.py docs/test_notebook.py test_readme.py test_public.py \
	test_croissant.py test_hub.py test_imagenet.py test_torchmetrics_page.py \
	study/test_docs.py study/test_edge_docs.py)
BENCHMARKS := $(filter-out common peer_ways,$(basename $(notdir $(wildcard benchmarks/*.py))))

.PHONY: demo docs test test-slow test-docs test-lowest lint check bench clean

demo: $(READY)
	$(BIN)/wsolbench demo --out demo

test: $(READY)
	@echo "left out: tests that are marked slow, which make test-slow runs"
	$(BIN)/python -m pytest -n auto -m "not slow"

# Every benchmark at a tiny size, every method on every backbone, a mask for each of 23,151 images,
# real photos, commands of the pages, the leaderboard in a browser, several processes, and commands
# that are killed at any moment.
test-slow: $(READY)
	$(BIN)/python -m pytest -n auto -m slow

# The documentation site, in site/; a warning is an error.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The tests that read the documentation: its commands, links and quoted numbers.
test-docs: $(READY)
	$(BIN)/python -m pytest -n auto $(DOCS)

# The tests with the lowest version of each requirement that setup.cfg allows, on Python 3.10 or
# 3.11; prints what it leaves out. Not in .ci/run, since it takes about seven minutes of processor
# time: a job of its own in .github/workflows/tests.yml. Old packages call what newer
# ones of those that they need deprecate, which is not ours to mend.
test-lowest: $(LOWEST)/.ready
	@$(PYTHON) tests/lowest.py >/dev/null
	$(LOWEST)/bin/python -m pytest -n auto -W ignore::DeprecationWarning

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: $(READY)
	$(BIN)/wsolbench leaderboard check
	$(BIN)/wsolbench leaderboard verify --from-counts

bench: $(READY)
	@for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python -m benchmarks.$$script || exit 1; done

$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

$(LOWEST)/.ready: setup.cfg tests/lowest.py
	rm -rf $(LOWEST)
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) tests/lowest.py >$(LOWEST)/lowest.txt 2>/dev/null
	$(LOWEST)/bin/python -m pip install --quiet --requirement $(LOWEST)/lowest.txt --editable .
	touch $@

clean:
	rm -rf .venv $(LOWEST) build *.egg-info demo site
