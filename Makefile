# Every target below prints itself in `make help`. CI calls `check` and `test`, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# A folder with a CPU build of torch, where a machine has one (pip's own variable).
LINKS  := $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS))
# `make setup TORCH_BACKEND=cpu` asks uv for the CPU build of torch from PyTorch's own index.
BACKEND := $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND))

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-quick test-long check fix docs bench clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready  ## Make the environment in .venv (the other targets do it by themselves)

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fireworks needs Python 3.11 or later; run: make PYTHON=/path/to/python3.11 setup")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv 2>$(VENV)/pip.log || (cat $(VENV)/pip.log; exit 1)
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(LINKS) $(BACKEND) --compile-bytecode --constraint constraints.txt --editable '.[demo,interop]' --group dev
	@touch $@

demo: $(VENV)/.ready  ## Run the main job: database -> pipeline -> model -> recorded trial
	$(BIN)/fireworks demo

test: $(VENV)/.ready  ## Run all tests, doctests and documentation snippets
	$(BIN)/pytest -n auto --dist loadgroup

test-quick: $(VENV)/.ready  ## Run all tests but the long ones
	$(BIN)/pytest -n auto --dist loadgroup -m 'not slow'

test-long: $(VENV)/.ready  ## Run the tests that take minutes: gigabytes in a small memory, many kills
	$(BIN)/pytest --long -m long

check: $(VENV)/.ready  ## Lint, format, types, import layers, spelling, documented names
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python tools/check_docs.py

fix: $(VENV)/.ready  ## Mend what can be mended by itself: format, imports, simple lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.ready  ## Run every documented example and check that every public name is documented
	$(BIN)/pytest -q README.md docs src
	$(BIN)/python tools/check_docs.py

bench: $(VENV)/.ready  ## Run the benchmarks beside their peers and print ratios
	$(BIN)/python benchmarks/epoch_in_memory.py
	$(BIN)/python benchmarks/message_costs.py
	$(BIN)/python benchmarks/pipeline_overhead.py
	$(BIN)/python benchmarks/parallel_map.py
	$(BIN)/python benchmarks/read_parquet.py
	$(BIN)/python benchmarks/shuffle_on_disk.py
	$(BIN)/python benchmarks/cache.py
	$(BIN)/python benchmarks/shuffle_quality.py

clean:  ## Remove the environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
