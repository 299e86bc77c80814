# make run    the bridge with software cards, everything switched on; prints the address of its page (PORT=12341 to choose)
# make test   the whole test suite, real PC/SC and a real browser included
# make check  style, types and the import contract; make bench  the measurements; make deb  the Debian package
# make lock   the versions and hashes of all Python packages, written anew within the ranges of pyproject.toml
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.run-ready
TEST_READY := $(VENV)/.test-ready

# A test sees what a user sees: nothing that this machine tells its Pythons (PYTHONUNBUFFERED, PYTHONIOENCODING …).
unexport $(filter PYTHON%,$(.VARIABLES))

LOCKED := $(wildcard packaging/locked/*.txt)

.PHONY: help setup run test check unit bench docs screenshots deb lock clean

help:
	@sed -n '1,4p' Makefile

$(RUN_READY): pyproject.toml scripts/setup.sh $(LOCKED)
	@PYTHON=$(PYTHON) scripts/setup.sh run

$(TEST_READY): pyproject.toml scripts/setup.sh $(LOCKED) packaging/deb/fetch.sh packaging/deb/common.sh
	@PYTHON=$(PYTHON) scripts/setup.sh test

setup: $(RUN_READY)

# Ctrl-C is how it is ended: no error for make to complain of.
run: $(RUN_READY)
	@trap : INT; $(BIN)/cardio serve --demo $(if $(PORT),--port $(PORT)); ended=$$?; [ $$ended -eq 130 ] || exit $$ended

check: $(TEST_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

unit: $(TEST_READY)
	$(BIN)/pytest -n 2 --dist loadfile tests/unit tests/field tests/fuzz

# Two at a time. Each worker has a PC/SC service of its own where the kernel gives it a /run and a loopback of its own.
test: check
	scripts/isolated.sh $(BIN)/pytest -n 2 --dist loadfile tests/unit tests/field tests/fuzz tests/browser
	scripts/isolated.sh sh -c '$(BIN)/pytest $${CARDIO_TESTS_ISOLATED:+-n 2 --dist loadgroup} tests/integration tests/packaging'

bench: $(TEST_READY)
	scripts/isolated.sh $(BIN)/python -m bench

docs: $(TEST_READY)
	$(BIN)/python -m scripts.make_docs

screenshots: $(TEST_READY)
	$(BIN)/python -m scripts.screenshots

deb: $(TEST_READY)
	packaging/deb/build.sh dist

# One version of each Python package, with hashes, within the ranges of pyproject.toml; UPGRADE=1 takes newer ones.
lock:
	PYTHON=$(PYTHON) scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
