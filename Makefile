# The two commands of the README: make demo, make test. Both build .venv once and reuse it while it is current.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.current

.PHONY: demo test apk torture test-arm64 check format wheels environments bench bench-tflite-runtime clean

demo: $(STAMP)
	$(BIN)/edgekit demo --out demo-out

test: $(STAMP)
	$(BIN)/python -m pytest

# android-demo/build/edgekit-demo.apk, without Gradle and Google's SDK. What Java and Android tools of Debian are missing, it
# names; libraries come by Maven and npm, once.
apk: $(STAMP)
	$(BIN)/python scripts/apk build

# A part of make test: what a device installs, on an emulated ARM64. Needs Debian, its qemu-user-static and cross-compiler.
test-arm64: $(STAMP)
	$(BIN)/python -m pytest tests/test_arm64.py

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Broken inputs for every reader, 20,000 or more, and atheris; docs/reliability.md gets the table. 25 minutes on two cores.
INPUTS ?= 20500
torture: $(STAMP)
	$(BIN)/python tests/torture --inputs $(INPUTS) --atheris 240 --fill docs/reliability.md

# The engine's for both machines: the one that is not this one needs Debian's cross-compiler.
wheels: $(STAMP)
	$(BIN)/python -m build --wheel --outdir dist .
	$(BIN)/python scripts/native_wheel.py --out dist x86_64 aarch64

# What cannot live beside edgekit's packages, 1.5 GB, into the user's cache; what is there stays. Needs Python 3.10 or 3.11,
# whichever Python .venv has.
environments: $(STAMP)
	$(BIN)/edgekit doctor --quick --install-onnx-tf --install-tflite-runtime

# Peers and edgekit side by side, by default on what make demo left behind; the tables go into FILL. It installs nothing
# beyond .venv: tflite-runtime takes part only where make bench-tflite-runtime came first, and else the tables say that it
# is left out.
MODEL ?= demo-out/model.pt
DATA ?= demo-out/dev.csv
FILL ?= docs/benchmarks.md
bench: $(STAMP)
	$(BIN)/python benchmarks/latency.py --model $(MODEL) --data $(DATA) --fill $(FILL)

bench-tflite-runtime: $(STAMP)
	$(BIN)/edgekit doctor --quick --install-tflite-runtime

clean:
	rm -rf build dist demo-out bench-out android-demo/build

# constraints.txt holds versions that are known to work together. The ExecuTorch engine is built here, from runtime/native,
# between its tools and what needs it.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
$(STAMP): pyproject.toml constraints.txt $(wildcard runtime/native/*.* runtime/native/edgekit_executorch/*.*)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "make needs Python 3.11 to 3.13; choose one: make test PYTHON=python3.12" >&2; exit 1; }
	@command -v $${CXX:-c++} >/dev/null || \
		{ echo "make builds the ExecuTorch engine, which needs a C++ compiler: apt install g++" >&2; exit 1; }
	@test -f "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" || \
		{ echo "make builds the ExecuTorch engine, which needs Python's headers: apt install python3-dev" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable '.[native]'
	$(INSTALL) --no-build-isolation --no-deps ./runtime/native
	$(INSTALL) --editable '.[dev]'
	@touch $(STAMP)
