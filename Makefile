# make demo and make test need python3 >= 3.11, a C++17 compiler and make; all else comes from PyPI, into .venv.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
unexport PYTHONDONTWRITEBYTECODE # without compiled files, every import compiles anew

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
INSTALL := install --quiet --no-compile --constraint constraints.txt
INSTALLED := $(VENV)/.installed
NATIVE := $(shell find native -type f 2>/dev/null)
FORMATTED = $(filter %.cpp %.hpp,$(NATIVE)) $(wildcard fuzz/native/*.?pp fuzz/native/*/*/*.h)
NATIVE_TESTS := tests/test_minimal.py tests/text/test_plain.py tests/ops/test_activations.py tests/ops/test_threads.py $(wildcard tests/ops/test_ops*.py)
LOVED := 'I love this movie so much, and then it goes on and on about the plot of the story and who meets whom and where'
BORED := 'An epic tale of brothers and wars and ships and storms. But the movie is really boring.'
UPWARD := 'It was bad at first, but now it is good.'
DOWNWARD := 'It was good at first, but now it is bad.'

.PHONY: help venv demo test lint format native asan tsan fuzz openapi kills lowest wheel bench bench-quick performance-page docs constraints charts clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 18

# The one place that installs. Nothing is isolated from .venv, so that a change of native code rebuilds only what it touches.
$(INSTALLED): CMakeLists.txt pyproject.toml constraints.txt $(NATIVE)
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 11) and \
	  f"tidegate needs Python 3.11 or later, but $(PYTHON) is {v}: try make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(INSTALL) --upgrade pip
	$(PIP) $(INSTALL) --group build --group test
	$(PIP) $(INSTALL) --no-build-isolation --editable '.[all]'
	@touch $@

venv: $(INSTALLED) ## .venv with tidegate in it, editable

$(VENV)/.group-%: $(INSTALLED)
	$(PIP) $(INSTALL) --group $*
	@touch $@

demo: venv ## real opinions: get them, train, evaluate, read four sentences word by word
	$(BIN)/tidegate data opinions --folder build/demo
	$(BIN)/tidegate train build/demo/opinions/train.parquet -o build/demo/model.safetensors
	$(BIN)/tidegate evaluate build/demo/model.safetensors build/demo/opinions/test.parquet --by source
	@$(BIN)/tidegate predict build/demo/model.safetensors --words $(LOVED)
	@$(BIN)/tidegate predict build/demo/model.safetensors --words $(BORED)
	@$(BIN)/tidegate predict build/demo/model.safetensors --words $(UPWARD)
	@$(BIN)/tidegate predict build/demo/model.safetensors --words $(DOWNWARD)

test: $(VENV)/.group-export ## every test
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(VENV)/.group-lint ## what the linters say
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(FORMATTED)

format: $(VENV)/.group-lint ## let the formatters write
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(FORMATTED)

# Builds a wheel apart from .venv, with $(CXX), and runs the native tests on it: $(call on-its-own,pip options,environment)
OWN = build/$@-$(notdir $(CXX))
define on-its-own
	rm -rf $(OWN)/wheel
	$(PIP) wheel . --quiet --no-deps --no-build-isolation --wheel-dir $(OWN)/wheel \
	  -C build-dir=$(OWN)/cmake -C cmake.define.CMAKE_CXX_COMPILER=$(CXX) -C cmake.define.TIDEGATE_WERROR=ON $(1)
	$(PYTHON) -m venv $(OWN)/venv
	$(PIP) --python $(OWN)/venv/bin/python $(INSTALL) --group test $(OWN)/wheel/*.whl
	$(PIP) --python $(OWN)/venv/bin/python $(INSTALL) --force-reinstall --no-deps $(OWN)/wheel/*.whl
	$(2) $(OWN)/venv/bin/python -m pytest $(NATIVE_TESTS)
endef

native: venv ## the native tests with another compiler: make native CXX=clang++-15
	$(call on-its-own)

# Python itself is not instrumented: the run-time libraries must be loaded before it, and what it never frees is no leak of ours.
asan: venv ## the native tests under the address and undefined-behaviour sanitizers (Linux)
	$(call on-its-own,-C cmake.define.TIDEGATE_SANITIZE=ON,\
	  LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1)

# Programs of fuzz/ with Clang's sanitizers: $(call fuzz-program,name of the build,sanitizers)
CLANG ?= $(firstword $(foreach name,clang++-15 clang++-16 clang++-17 clang++-18 clang++-19 clang++-20 clang++-21 clang++,\
  $(shell command -v $(name))))
comma := ,
define fuzz-program
	@test -n "$(CLANG)" || { echo "this needs Clang 15 or later: make $@ CLANG=/path/to/clang++"; exit 1; }
	$(BIN)/cmake -S fuzz -B build/fuzz/$(1) -G Ninja -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja" \
	  -DCMAKE_CXX_COMPILER=$(CLANG) -DTIDEGATE_SANITIZERS=$(2) >/dev/null
	$(BIN)/cmake --build build/fuzz/$(1)
endef

tsan: SECONDS = 60
tsan: venv ## eight threads on one layer under the thread sanitizer (Linux): make tsan SECONDS=60
	$(call fuzz-program,thread,thread)
	TSAN_OPTIONS=halt_on_error=1 build/fuzz/thread/threads $(SECONDS)

fuzz: SECONDS = 60
fuzz: $(VENV)/.group-fuzz ## hostile and random inputs (Linux): make fuzz SECONDS=60 TARGETS='model_file native', or RUNS=1000
	$(call fuzz-program,address,"address$(comma)undefined")
	$(BIN)/python fuzz/run.py $(if $(RUNS),--runs $(RUNS),--seconds $(SECONDS)) $(TARGETS)

lowest: ## the tests on the lowest versions that pyproject.toml allows
	$(PYTHON) tests/lowest.py build/lowest
	build/lowest/bin/python -m pytest tests $(PYTEST_ARGS)

openapi: venv ## 10,000 requests that the description of the service allows, or does not: make openapi EXAMPLES=1600
	$(PYTHON) -m venv build/schemathesis
	build/schemathesis/bin/python -m pip install --quiet 'schemathesis>=4,<5'
	$(BIN)/python fuzz/openapi.py build/schemathesis/bin/schemathesis --examples $(or $(EXAMPLES),1600)

kills: venv ## trainings and servers killed at random moments: weights, and states of sessions, are as if left alone
	OMP_NUM_THREADS=1 $(BIN)/python fuzz/kill_training.py --runs 100
	$(BIN)/python fuzz/kill_service.py --runs 100
	$(BIN)/python fuzz/kill_workers.py --runs 10

wheel: venv ## the wheel in dist/, and its size, which must stay below 3 MB
	rm -rf dist
	$(PIP) wheel . --quiet --no-deps --no-build-isolation --wheel-dir dist
	@size=$$(cat dist/*.whl | wc -c); echo "$$(ls dist): $$size bytes"; test $$size -lt 3000000

bench: $(VENV)/.group-bench ## the table of speeds beside all peers: make bench BENCH_ARGS='--cells reviews'
	$(BIN)/python benchmarks/bench_layer.py $(BENCH_ARGS)

bench-quick: $(VENV)/.group-bench ## the same for a handful of shapes
	$(BIN)/python benchmarks/bench_layer.py --seconds 0.5 --cells '^one step 64|^one sequence 128|small batch|^speech|DIEN'

performance-page: $(VENV)/.group-bench ## docs/performance.md and its pictures, from benchmarks/results/
	$(BIN)/python benchmarks/make_page.py $(RESULTS)

docs: $(VENV)/.group-docs ## the documentation in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Takes the newest version of everything but torch, which is pinned by hand: other releases may bring gigabytes of CUDA.
constraints: FRESH := build/constraints/bin/python -m pip
constraints: ## constraints.txt anew: run all tests before you keep it
	$(PYTHON) -m venv --clear build/constraints
	$(FRESH) install --quiet --upgrade pip
	$(FRESH) install --quiet "$$(grep '^torch==' constraints.txt)" '.[all]' --group dev --group fuzz
	@{ echo '# The versions that the tests were run with, made by `make constraints`.'; \
	  $(FRESH) freeze --all --exclude tidegate | sed 's/+.*//'; } > build/constraints.txt
	mv build/constraints.txt constraints.txt

charts: CHARTS := src/tidegate/serve/web/vendor
charts: ## the page's chart library anew, the newest version by npm: run tests/serve/web, look at the page, then keep it
	rm -rf build/charts && mkdir -p build/charts
	cd build/charts && npm pack --silent uplot && tar xzf uplot-*.tgz
	cp build/charts/package/dist/uPlot.iife.min.js build/charts/package/dist/uPlot.min.css $(CHARTS)
	cp build/charts/package/LICENSE $(CHARTS)/uPlot.LICENSE.txt

clean: ## forget what was built, keep what was installed
	rm -rf build dist site .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache $(INSTALLED)
