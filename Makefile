# Every target shares one environment, .venv, which `make venv` makes from the tested whole in constraints.txt.

PYTHON ?= python3
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: venv demo test check quick gpu gpu-bench clean

venv: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; PYTHON=python3.12 make ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $(READY)

# The main job, end to end, on simulated heads: 12 people, 4 mm voxels, the simulation's own truth as labels.
# Two networks learn, with the recipe that shows it in minutes.
demo: $(READY)
	$(BIN)/srreg simulate --out demo/source --subjects 12 --seed 1 --size quarter --n-procs $(CORES)
	$(BIN)/srreg build --synthrad-dir demo/source --out demo/sr-reg --size quarter --n-procs $(CORES) \
	    --skull-stripper precomputed:demo/source --segmenter precomputed:demo/source
	$(BIN)/srreg qc report demo/sr-reg --n-procs $(CORES)
	$(BIN)/bench run --methods initial,voxelmorph,mambamorph --data demo/sr-reg --out demo/runs --profile reduced --epochs 4
	@$(BIN)/bench page --data demo/sr-reg --out demo/runs
	@$(BIN)/bench table --markdown --out demo/runs
	@echo "Open in a browser: the QC report, demo/sr-reg/qc/index.html, and the page of the run, demo/runs/index.html."

# All tests, those on real heads too where SRREG_REAL_DATA points at some.
test: $(READY)
	$(BIN)/python -m pytest

# What a change must pass: style, types, the arrows between packages, and the tests of unit, golden and e2e.
check: quick
	$(BIN)/python -m pytest tests/unit tests/golden tests/e2e

quick: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Everything that needs a GPU, in one call of under ten minutes; uses the python that is there, no environment is made.
gpu:
	$(PYTHON) -m perf.gpu

# Every row trained and scored on a GPU, nine minutes at a time; runs-gpu holds what is done, so call it until it prints its table.
gpu-bench:
	$(PYTHON) -m perf.gpu.bench

clean:
	rm -rf demo .venv
