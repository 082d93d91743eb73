# One command each: `make run` (demo from raw files to report), `make test`, `make ui`, `make lint`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
FLAGS ?=

.PHONY: run test ui lint docs release format install clean

run: install
	$(BIN)/mrs run demo

ui: install
	$(BIN)/mrs ui

test: install
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(FLAGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: install
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -W --keep-going -q docs build/site

release: install
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/fresh
	build/fresh/bin/pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	build/fresh/bin/mrs --version
	build/fresh/bin/mrs models --by-cell

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
