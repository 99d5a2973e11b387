# The two commands of the README are `make lab` and `make test`; `make help` lists the rest.

PYTHON ?= python3
# The Python environment. The devcontainer has it elsewhere, because it shares the checkout with the
# machine that it runs on.
VENV := $(or $(SOPSLAB_VENV),.venv)
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
# Two stamps: what a lab needs, and what its developers need besides.
RUNTIME := $(VENV)/.runtime
STAMP := $(VENV)/.requirements

.DEFAULT_GOAL := help
.PHONY: help lab down check test soak clusters bench reference docs requirements

help: ## List what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

$(RUNTIME): requirements.txt requirements-build.txt pyproject.toml setup.py
	@$(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo \
		'$(PYTHON) is missing, older than 3.11, or without venv (Debian: python3-venv): name another' \
		'one, as in `make PYTHON=python3.12 lab`. Ubuntu 22.04 has it from the deadsnakes archive' \
		'(python3.12-venv) or by `uv python install 3.12`.' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-compile --require-hashes -r requirements.txt -r requirements-build.txt
	PYTHONWARNINGS=ignore $(PIP) --no-deps --no-build-isolation --editable .
	touch $@

$(STAMP): $(RUNTIME) requirements-dev.txt
	$(PIP) --no-compile --require-hashes -r requirements-dev.txt
	touch $@

lab: $(RUNTIME) ## Make the lab, or bring it back; installs Docker where no engine is
	@$(BIN)/sopslab up --install-docker

down: $(RUNTIME) ## Take the lab down; keys, Git data and tools stay
	@$(BIN)/sopslab down

check: $(STAMP) ## Style, types and every test that makes no lab; the store is filled first
	@$(BIN)/python -m tests.check quick

test: $(STAMP) ## Everything: `make check`, then the real thing
	@$(BIN)/python -m tests.check all

soak: $(STAMP) ## The long tails that `make test` leaves out: before a release
	@$(BIN)/python -m tests.check soak

clusters: $(STAMP) ## The same on clusters of several nodes that exist already
	@$(BIN)/python -m tests.check clusters

bench: $(STAMP) ## Measure the lab beside the same work done by hand, into build/bench.html
	@$(BIN)/python -m tests.bench $(if $(BASE),--base '$(BASE)') $(PARTS)

reference: $(STAMP) ## Write docs/reference anew from the code
	@$(BIN)/python -m sopslab.cli.reference

docs: reference ## The same, and the pictures in docs/images
	@$(BIN)/python -m tests.browser.screenshots
	@$(BIN)/python -m tests.bench.picture

requirements: $(STAMP) ## Pin what pyproject.toml and requirements-*.in ask for, with hashes
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --universal \
		--python-version 3.11 --upgrade pyproject.toml --output-file requirements.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --universal \
		--python-version 3.11 --upgrade requirements-build.in --output-file requirements-build.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --universal \
		--python-version 3.11 --upgrade requirements-dev.in --output-file requirements-dev.txt
