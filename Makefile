# The usual ways in. CMake does the work: see CMakePresets.json and CONTRIBUTING.md.
# Each target first installs what is missing (scripts/setup), and says what it does.

PRESET ?= release
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
SECONDS_EACH ?= 60
TORTURE_SECONDS ?= 120
export PRESET
unexport DESTDIR # for `make install` alone: pip and CMake would obey it anywhere

.DEFAULT_GOAL := help
.PHONY: help setup build demo app test test-dash bench bench-dash models torture fuzz wheel test-pythons test-oldest test-bare test-musl install uninstall clean

help: ## list these targets
	@echo "framecache: make TARGET"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 15

setup: ## install missing Debian packages, and .venv with pinned Python packages
	@scripts/setup

build: setup ## build the library, the command and the Python package (PRESET=release)
	@echo "build: build/$(PRESET)"
	@scripts/build $(PRESET) $(JOBS)

demo: ## show the main job on real input: shared frames beside a file cache
	@$(MAKE) --no-print-directory build PRESET=release
	@echo "demo: examples/demo/demo.py"
	@.venv/bin/python examples/demo/demo.py $(ARGS)

app: ## explore the flights, and watch the cache, in a browser (PORT=8050, WORKERS=4)
	@$(MAKE) --no-print-directory build PRESET=release
	@PORT="$(PORT)" WORKERS="$(WORKERS)" examples/dash/explorer/run $(ARGS)

test: build ## run all tests (PRESET=dev|release|asan-ubsan|tsan)
	@echo "test: build/$(PRESET)"
	@scripts/test $(PRESET)

test-dash: ## run each spelling of framecache.dash on each of Dash's servers, in Chromium
	@$(MAKE) --no-print-directory build PRESET=release
	@echo "test-dash: scripts/test-dash"
	@scripts/test-dash $(ARGS)

bench: ## measure against the baselines (ROWS=1e9: the big one); JSON in build/bench/
	@$(MAKE) --no-print-directory build PRESET=release
	@echo "bench: bench/run"
	@ROWS="$(ROWS)" bench/run $(ARGS)

bench-dash: ## one app with JSON, pickle files and framecache, in a browser (ROWS=1e9)
	@$(MAKE) --no-print-directory build PRESET=release
	@echo "bench-dash: bench/dash/run.py"
	@ROWS="$(ROWS)" .venv/bin/python bench/dash/run.py $(ARGS)
	@.venv/bin/python bench/dash/charts.py --out build/bench/dash
	@echo "bench-dash: charts in build/bench/dash/"

models: ## check every protocol's model, and that each mutation fails; needs spin; 15 minutes
	@scripts/setup models
	@SECONDS_EACH=$${SECONDS_EACH:-900} tests/model/run.sh

torture: build ## processes that put, get and are killed, for TORTURE_SECONDS (120)
	@echo "torture: tests/proc, $(TORTURE_SECONDS) s each"
	@FC_TORTURE_SECONDS=$(TORTURE_SECONDS) scripts/torture $(PRESET)

fuzz: ## feed damaged frames to the reader, SECONDS_EACH (60) a target; needs clang
	@scripts/setup fuzz
	@scripts/build fuzz $(JOBS)
	@scripts/fuzz $(SECONDS_EACH)

wheel: setup ## build and audit the source package and the wheel, into build/dist/
	@scripts/wheel

test-pythons: wheel ## the Python tests on every interpreter there is (PYTHONS="3.12 3.13")
	@scripts/test-pythons $(PYTHONS)

test-oldest: build wheel ## the Python tests with the oldest pandas, polars, pyarrow and Dash allowed
	@scripts/test-oldest $(ARGS)

test-bare: ## `make demo` and `make test` in bare Debian 12 and 13 roots; needs root; hours
	@scripts/test-bare $(ARGS)

test-musl: ## build with musl's C library and run the C tests
	@scripts/test-musl $(ARGS)

install: ## the C library and the command, into PREFIX (/usr/local), below DESTDIR if set
	@scripts/setup install
	@echo "install: into $(DESTDIR)$(PREFIX)"
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" JOBS="$(JOBS)" scripts/install install

uninstall: ## remove what install put into PREFIX, below DESTDIR if set
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" scripts/install uninstall

clean: ## remove build/
	@echo "clean: build/"
	@rm -rf build
