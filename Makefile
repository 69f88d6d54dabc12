# Two commands, each with its own set-up: `make book` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: book test mutants fuzz exercises refresh clean

book: $(INSTALLED)
	$(BIN)/mia book

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	rm -rf _build/test-cache
	MIALIB_CACHE=$(CURDIR)/_build/test-cache $(BIN)/python -m pytest tests book -n 2 --dist loadfile --nbval --nbval-current-env --nbval-sanitize-with tests/nbval.cfg
	$(BIN)/jupyter-book build -W --keep-going .

# Plant the faults of tests/mutants.yaml, one at a time; fail if no test finds one.
mutants: $(INSTALLED)
	$(BIN)/python tests/mutants.py

# Damage what comes from outside, at random but the same each time; fail if anything but a sentence comes of it.
fuzz: $(INSTALLED)
	set -e; for fuzzer in tests/fuzz_*.py; do $(BIN)/python $$fuzzer --n 1000 --seed 0; done

# Run the exercises of the book again; fail if a solution says something else than what came out.
exercises: $(INSTALLED)
	$(BIN)/python tests/exercises.py

# Run every chapter at its defaults and write the outputs that are committed and compared.
refresh: $(INSTALLED)
	$(BIN)/mia refresh

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e ".[test]"
	touch $@

clean:
	rm -rf _build $(VENV)
