# Everything here sets up what it needs by itself: on Debian as root from nothing but Python, git and make.
# What that is and how: ari_recorder/lab/.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
LAB := $(PYTHON) -m ari_recorder.lab
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench soak docs clean needs venv venv-dev
.NOTPARALLEL:

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

demo: needs venv ## Record a real call, step by step, and show what became of it
	@exec $(BIN)/ari-recorder demo $(ARGS)

test: needs lint ## Lint, types and every test (ARGS="…" goes to pytest)
	@exec $(LAB) run -- $(BIN)/python -m $(if $(ARGS),pytest $(ARGS),tests)

lint: venv-dev ## Lint, formatting, types and the law of dependency only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: needs venv-dev ## Measure what recording and delivery cost, beside MixMonitor, sox, smbclient and sftp
	@exec $(LAB) run --image asterisk22 -- $(BIN)/python -m tests.bench $(ARGS)

soak: needs venv-dev ## Let everything fail at random while 500 calls are recorded (ARGS="--calls 2000")
	@exec $(LAB) run --image asterisk22 -- $(BIN)/python -m tests.soak $(ARGS)

docs: venv-dev ## Write the reference pages that are generated from the code
	$(BIN)/python -m docs.generate

clean: ## Remove what was made here, and what killed runs left behind
	@$(LAB) clean
	rm -rf .venv .run/wheelhouse build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

needs:
	@$(LAB) needs

venv:
	@$(LAB) venv

venv-dev:
	@$(LAB) venv --dev
