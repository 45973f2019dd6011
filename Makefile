# The two commands of the README: make demo, make test. Both build .venv once and reuse it while it is current.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.current

.PHONY: demo test check format wheels bench clean

demo: $(STAMP)
	$(BIN)/edgekit demo --out demo-out

test: $(STAMP)
	$(BIN)/python -m pytest

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheels: $(STAMP)
	$(BIN)/python -m build --wheel --outdir dist .

# Peers and edgekit side by side, by default on what make demo left behind (docs/benchmarks.md).
MODEL ?= demo-out/model.pt
DATA ?= demo-out/dev.csv
bench: $(STAMP)
	$(BIN)/python benchmarks/latency.py --model $(MODEL) --data $(DATA)

clean:
	rm -rf build dist demo-out bench-out

# constraints.txt holds versions that are known to work together.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "make needs Python 3.11 to 3.13; choose one: make test PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)
