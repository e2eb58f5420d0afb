# All that is needed is Python 3.11 or later and make.
#   make demo     the default experiment, offline, on synthetic data
#   make test     all tests, one process per core (at most 8)
# Both set up .venv first where that has not been done. Another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: demo test lint format types clean

demo: $(READY)
	$(BIN)/rnnexp train

test: $(READY)
	$(BIN)/pytest -n auto --maxprocesses 8 --dist worksteal

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY)
	$(BIN)/mypy

clean:
	rm -rf $(VENV)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "rnnexp needs Python 3.11 or later: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	@echo "installing into $(VENV), which takes some minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@
