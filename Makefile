# Every target makes the virtual environment and installs what it needs, from nothing.
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test check format bench faults clean

demo: $(INSTALLED)
	$(VENV)/bin/graft demo pairs

# The models of the tests are so small that a second thread only waits; a second process does not.
PYTEST := $(PY) -m pytest -q -n auto --maxprocesses 8
test check faults: export OMP_NUM_THREADS ?= 1

test: $(INSTALLED)
	$(PYTEST)

check: $(INSTALLED)
	$(VENV)/bin/ruff format --check src tests benchmarks
	$(VENV)/bin/ruff check src tests benchmarks
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PYTEST) -m "not slow"

format: $(INSTALLED)
	$(VENV)/bin/ruff format src tests benchmarks
	$(VENV)/bin/ruff check --fix src tests benchmarks

# About 40 minutes. `make bench REPEATS=3` measures each pair three times.
REPEATS ?= 1
bench: $(INSTALLED)
	PYTHONPATH=tests $(PY) benchmarks/audit_overhead.py
	PYTHONPATH=tests:benchmarks $(PY) -m speed.run --repeats $(REPEATS)
	PYTHONPATH=tests $(PY) benchmarks/estimate.py

# `make faults WRITE=--write` also writes docs/fault-zoo.md.
faults: $(INSTALLED)
	PYTHONPATH=tests $(PY) -m faults.run $(WRITE)

$(INSTALLED): pyproject.toml constraints.txt
	python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
