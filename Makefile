# `make demo` runs the boutique; `make test` runs every check. Both set up what they need in .venv,
# and do it again only when a pyproject.toml, or what is compiled, has changed. `make help` lists the rest.

# The interpreter for .venv; by default the first of these that is Python 3.11 or newer.
PYTHON ?= python3 python3.13 python3.12 python3.11 python
VENV ?= .venv
# Where the boutique listens; a free port is taken if this one is in use.
PORT ?= 8080
# Further arguments for pytest, as in: make unit ARGS="-k cart"
ARGS ?=

BIN := $(VENV)/bin
# Compiled by an editable install, beside its sources (docs/decisions/0012).
CODEC := weaver/rpc/codec
COMPILED := hatch_build.py $(wildcard $(CODEC)/c/*)
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input
# Without the core, which an editable install does not have: what compiles it is not fetched.
EDITABLE := WEAVER_CORE=0 $(PIP) install --editable
SOURCES := weaver tests examples bench

export PIP_ROOT_USER_ACTION := ignore
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help demo test lint types mypy pyright layers unit core unit-core \
  compiled bench bench-full bench-check clean

help:
	@echo "make demo     freeze the boutique, run it as processes; Ctrl-C ends it (PORT=$(PORT))"
	@echo "make test     lint, types and layers, then unit, then compiled"
	@echo "make lint     ruff: rules and format"
	@echo "make types    mypy and pyright, both strict"
	@echo "make layers   import-linter: who may import whom"
	@echo "make unit     all tests (ARGS=... for pytest)"
	@echo "make compiled   the tests of what is compiled, on it"
	@echo "make core     what users install: a wheel in dist; make unit-core runs all tests on it"
	@echo "make bench    the benchmarks, in short: ratios measured within one run"
	@echo "make bench-full   the same, longer; make bench-check: have the ratios moved?"
	@echo "make clean    remove .venv and everything that tools have written"

demo: $(VENV)/.demo
	@address=$$($(BIN)/python -c "$$FREE_ADDRESS" $(PORT)) && cd examples/boutique && \
	WEAVER__LISTENERS__HTTP__ADDRESS=$$address exec "$(abspath $(BIN))/weaver" multi run

# In this order on purpose: what fails fastest comes first. mypy takes one core, and pyright another.
test: $(VENV)/.test
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory --jobs=4 types layers build/core/.done
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory compiled
	@echo "make test: everything passed"

lint: $(VENV)/.test
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@echo "lint: ok"

types: mypy pyright
	@echo "types: ok"

mypy: $(VENV)/.test
	@$(BIN)/mypy --no-error-summary --python-executable $(BIN)/python

# It runs on node; where neither node nor a download of it is to be had, mypy has to do.
pyright: $(VENV)/.test
	@if $(BIN)/pyright --version >/dev/null 2>&1; \
	then $(BIN)/pyright --pythonpath $(BIN)/python; \
	else echo "types: pyright is skipped, because node is not installed and cannot be fetched"; fi

layers: $(VENV)/.test
	@$(BIN)/lint-imports --no-logo
	@echo "layers: ok"

# One more than there are cores: tests with real processes wait a third of their time.
WORKERS = $$(n=$$(($$(getconf _NPROCESSORS_ONLN) + 1)); echo $$((n < 8 ? n : 8)))

# Each file whole to one worker, so that what its tests share is set up once; tests/conftest.py puts
# those that take long first.
DIST := --dist loadfile --no-loadscope-reorder

unit: $(VENV)/.test
	@$(BIN)/python -m pytest --quiet -n $(WORKERS) $(DIST) $(ARGS)

# What users install (docs/decisions/0013): compiled, where that can be done; it takes a minute.
COMPILES = command -v $(CC) >/dev/null && \
  test -f "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h"

core: build/core/.done
	@ls dist/weaver_runtime-*.whl

# The wheel, and unpacked, to come before the sources in the path of imports.
build/core/.done: pyproject.toml hatch_build.py \
  $(shell find weaver -name '*.py' -o -name '*.[ch]') | $(BIN)/python
	@echo "Building what is installed into build/core"
	@rm -rf build/core dist/weaver_runtime-*.whl
	@if $(COMPILES); then core=1; else core=0; fi; \
	WEAVER_CORE=$$core $(PIP) wheel --no-deps --wheel-dir dist .
	@$(BIN)/python -m zipfile -e dist/weaver_runtime-*.whl build/core
	@touch $@

# All tests on it. `python -m pytest` would put the sources before it.
unit-core: build/core/.done $(VENV)/.test
	@WEAVER_CORE=1 PYTHONPATH="$(abspath build/core)" \
	  $(BIN)/pytest --quiet -n $(WORKERS) $(DIST) $(ARGS)

# Those of what is compiled, from the least to real processes, and the fuzzers.
COMPILED_TESTS := tests/meta/test_core.py tests/unit/test_frames.py \
  $(addprefix tests/unit/,rpc proclet ingress) \
  $(addprefix tests/property/test_,connection.py codec.py balancing.py ingress_properties.py) \
  $(addprefix tests/fuzz/test_,frames_fuzz.py ingress_fuzz.py) \
  $(addprefix tests/integration/test_,network_calls.py network_failures.py network_threads.py \
    network_tls.py ingress_proxy.py ingress_drain.py multi_run_placements.py testing_multi.py)

compiled: | $(BIN)/python
	@if $(COMPILES); then $(MAKE) --no-print-directory unit-core ARGS="$(COMPILED_TESTS)"; \
	else echo "compiled: left out, because there is no $(CC), or no Python.h"; fi

# What users install is measured. The shop first: it is what the others explain. Short enough for a
# coffee; bench-full is not.
bench: $(VENV)/.bench build/core/.done
	@export PYTHONPATH="$(abspath build/core)"; \
	$(BIN)/python bench/boutique/run.py || exit; \
	for command in "local_call.py" "codec.py" "connection.py" "calls.py --rounds 3" "import_time.py" \
	  "replicas.py --rounds 5" "ingress.py --rounds 2" "startup.py weaver uvicorn" "ssh.py"; do \
	  echo "== bench/$$command"; $(BIN)/python bench/$$command || exit; done
	@echo "== the same from the sources"
	@for command in "connection.py" "calls.py --rounds 3 --ours"; do \
	  echo "== bench/$$command"; $(BIN)/python bench/$$command || exit; done

bench-full: $(VENV)/.bench build/core/.done
	@export PYTHONPATH="$(abspath build/core)"; \
	$(BIN)/python bench/boutique/run.py --full || exit; \
	for command in local_call codec connection calls import_time replicas ingress startup ssh; do \
	  echo "== bench/$$command.py"; $(BIN)/python bench/$$command.py || exit; done

# Ratios of a new short run beside those in bench/results/recorded.json.
bench-check: $(VENV)/.bench build/core/.done
	@export PYTHONPATH="$(abspath build/core)"; \
	$(BIN)/python bench/boutique/run.py && $(BIN)/python bench/boutique/check.py

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	@rm -f $(CODEC)/_records*.so
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@for candidate in $(PYTHON); do \
	  if "$$candidate" -c "import sys; sys.exit(sys.version_info < (3, 11))" >/dev/null 2>&1; \
	  then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "weaver needs Python 3.11 or newer, and none of these is: $(PYTHON)" >&2; \
	  echo "  fix: install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	  exit 1; \
	fi; \
	echo "Creating $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv $(VENV) || { \
	  rm -rf $(VENV); \
	  echo "$$found cannot make a virtual environment; the reason stands above" >&2; \
	  echo "  fix on Debian and Ubuntu: apt-get install python3-venv" >&2; \
	  exit 1; \
	}

$(VENV)/.demo: pyproject.toml examples/boutique/pyproject.toml $(COMPILED) | $(BIN)/python
	@echo "Installing weaver and the boutique into $(VENV)"
	@$(EDITABLE) . --editable examples/boutique
	@touch $@

# Dependency groups need a pip that knows them.
$(VENV)/.test: pyproject.toml $(COMPILED) | $(BIN)/python
	@echo "Installing weaver and its test tools into $(VENV)"
	@$(PIP) install "pip>=25.1"
	@$(EDITABLE) . --group test
	@touch $@

$(VENV)/.bench: $(VENV)/.test examples/boutique/pyproject.toml
	@echo "Installing what the benchmarks compare with into $(VENV)"
	@$(PIP) install --group bench --editable examples/boutique
	@touch $@

# Prints 127.0.0.1:PORT if it is free, else port 0, which means any free one.
define FREE_ADDRESS
import socket, sys
with socket.socket() as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", int(sys.argv[1])))
    except OSError:
        print(f"port {sys.argv[1]} is in use; taking a free one", file=sys.stderr)
        print("127.0.0.1:0")
    else:
        print(f"127.0.0.1:{sys.argv[1]}")
endef
export FREE_ADDRESS
