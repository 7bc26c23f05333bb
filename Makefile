# make demo   train a model that reads spelling and writes phones, in a few minutes
# make demo-speech  speak commands, train a model that hears them, in a few minutes
# make demo-image   train a model that names emoji, in a few minutes
# make test   check, then the tests that take seconds each: 6 to 8 minutes on two cores
# make coverage  the tests of make test, and the lines of src that they run
# make test-all  check, then every test, slow ones too
# make check  lint, format and types only
# make fuzz   give 20,000 damaged and hostile files to the command; SEED=2 for others
# make bench DATA=...  measure speed beside other toolkits, see benchmarks/README.md
#
# Each verb first builds .venv from the pinned files in requirements/, and builds it again when
# those change. --no-compile: what is imported is compiled then, and most of it never is.

PYTHON ?= python3
SEED ?= 1
# Commands that tests start compile what they import once, not each time, whatever is set outside.
export PYTHONDONTWRITEBYTECODE =
PINS := $(shell cat requirements/torch.txt requirements/dev.txt requirements/pictures.txt | cksum | cut -d' ' -f1)
READY := .venv/ready-$(PINS)
INSTALL := .venv/bin/python -m pip --disable-pip-version-check -qq install --no-compile

.PHONY: demo demo-speech demo-image test coverage test-all check fuzz bench
.DEFAULT_GOAL := test

demo: $(READY)
	.venv/bin/python demos/pronounce.py

demo-speech: $(READY)
	.venv/bin/python demos/listen.py

demo-image: $(READY)
	.venv/bin/python demos/look.py

test: check
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n auto --dist worksteal -m "not slow"

coverage: $(READY)
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n auto -m "not slow" --cov --cov-report=term

test-all: check
	OMP_NUM_THREADS=1 TESTS=all .venv/bin/python -m pytest -n auto

check: $(READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/basedpyright

fuzz: $(READY)
	.venv/bin/python -m tests.fuzz --seed $(SEED)

bench: $(READY)
	.venv/bin/python benchmarks/run_all.py --data "$(DATA)"

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "kochi needs Python 3.11 to 3.13; name one: make PYTHON=python3.12"; exit 1; }
	@echo "Building .venv: torch and some 100 packages, a few minutes the first time"
	$(PYTHON) -m venv --clear .venv
	$(INSTALL) -r requirements/torch.txt
	$(INSTALL) -r requirements/dev.txt -c requirements/torch.txt
	$(INSTALL) --no-deps -r requirements/pictures.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	touch $@
