# Two commands, each with its own set-up: `make book` and `make test`.
# What they install is in requirements/, with hashes; LATEST=1 takes the newest versions that pyproject.toml allows.
PYTHON ?= python3
VENV ?= $(if $(LATEST),_build/latest,.venv)
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Of two workers each has a core; threads and processes of their own would only wait for each other.
ONE_CORE := OMP_NUM_THREADS=1 LOKY_MAX_CPU_COUNT=1

.PHONY: book test units html mutants exercises fuzz chaos security refresh lock dist clean

book: $(INSTALLED)
	$(BIN)/mia book

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	rm -rf _build/test-cache
	$(ONE_CORE) MIALIB_CACHE=$(CURDIR)/_build/test-cache $(BIN)/python -m pytest tests book -n 2 --dist loadfile --no-loadscope-reorder --nbval --nbval-current-env --nbval-sanitize-with tests/nbval.cfg

# The unit tests alone.
units: $(INSTALLED)
	$(BIN)/python -m pytest tests -n 2 --dist loadfile

# The pages from the outputs that are committed, in _build/html.
html: $(INSTALLED)
	$(BIN)/jupyter-book build -W --keep-going .

# Plant the faults of tests/mutants.yaml, one at a time; fail if no test finds one.
mutants: $(INSTALLED)
	$(BIN)/python tests/mutants.py

# Run the exercises of the book again; fail if a solution says something else than what came out.
exercises: $(INSTALLED)
	$(BIN)/python tests/exercises.py

# Give what opens files and answers requests a thousand damaged ones each; fail if one is not refused in a sentence.
fuzz: $(INSTALLED)
	for tool in tests/fuzz_*.py; do $(BIN)/python $$tool || exit 1; done

# Kill commands a hundred times at random moments; fail if any comes out otherwise than undisturbed, or leaves something.
chaos: $(INSTALLED)
	$(BIN)/python tests/chaos.py --kills 100

# Faults that are known: of the package's code, and of what is installed (which needs the network).
security: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -e ".[security]"
	$(BIN)/bandit --quiet --recursive --severity-level medium mialib
	$(BIN)/pip-audit --skip-editable

# Run every chapter at its defaults and write the outputs that are committed and compared.
refresh: $(INSTALLED)
	$(BIN)/mia refresh

# Choose the versions anew, for Python 3.11 to 3.13; pip that is told no index but the usual one finds their hashes.
lock: $(INSTALLED)
	$(BIN)/python requirements/lock.py $(OPTIONS)

# Build what is released, and fail if something is in it that does not belong there.
dist: $(INSTALLED)
	$(BIN)/python -m pip install --quiet build twine
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

LOCKED := requirements/lock.txt requirements/torch.txt requirements/uv.txt

# uv is the faster; pip knows which index it was told, for torch and where uv finds none.
$(INSTALLED): pyproject.toml $(LOCKED)
	$(PYTHON) -m venv $(VENV)
ifdef LATEST
	$(BIN)/python -m pip install --quiet -e ".[test]"
else
	$(BIN)/python -m pip install --quiet --no-deps --no-compile --require-hashes -r requirements/uv.txt -r requirements/torch.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/lock.txt || \
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements/lock.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
endif
	touch $@

clean:
	rm -rf _build $(VENV)
