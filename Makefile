# Two commands matter: `make demo` runs the whole system, `make test` proves it.
# Everything is installed into .uv/ and .venv/ from hash-locked requirements; nothing else is needed
# but Python >= 3.11, git and make.
PYTHON ?= $(shell for v in 3.11 3.12 3.13; do command -v python$$v >/dev/null 2>&1 && python$$v -c '' 2>/dev/null && { command -v python$$v; break; }; done || command -v python3)
UV_VERSION = 0.13.9
VENV = .venv
BIN = $(VENV)/bin
UV = .uv/bin/uv
ARGS ?=
# The demo and the tests start some hundred processes. One without bytecode compiles what it imports,
# a second of CPU for our own files and three for those of others.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo test check interop soak lint types imports bench gates lock browser clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit("smslab needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.installed: $(UV) requirements-dev.lock pyproject.toml
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements-dev.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: $(VENV)/.installed  ## run the whole system with the demo campaign, then open the page it prints
	@$(BIN)/smslab demo $(ARGS)

test: check $(if $(CI),interop)  ## set everything up and run everything that needs nothing but Python; CI=true: the foreign peers too

check: lint types imports browser  ## lint, types, import contracts, all tests but interop
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not interop and not soak" $(ARGS)

interop: $(VENV)/.installed  ## foreign SMPP peers from Debian, npm and Maven Central, and tshark
	@$(BIN)/python -m pytest tests/interop

soak: $(VENV)/.installed  ## kill worker, bridge and broker 36 times under load (ten minutes)
	@$(BIN)/python -m pytest -m soak $(ARGS)

lint: $(VENV)/.installed  ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.installed  ## mypy --strict
	@$(BIN)/mypy

imports: $(VENV)/.installed  ## who may import whom
	@$(BIN)/lint-imports

browser: $(VENV)/.installed  ## find or install a Chromium for the page tests
	@$(BIN)/python tests/support/browser.py --install

bench: $(VENV)/.installed  ## measure; prints a table, writes benchmarks/results/
	@$(BIN)/python -m benchmarks $(ARGS)

gates: $(VENV)/.installed  ## simulate the promises of the statistics at full length (minutes)
	@$(BIN)/python -m benchmarks.gates $(ARGS)

lock: $(UV)  ## resolve the dependencies anew
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade -o requirements.lock pyproject.toml
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean:  ## remove what make has installed, and the demo's data
	@rm -rf .venv .uv .demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
