# Two commands for users: `make serve` and `make test`. Each sets up .venv by itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LISTEN ?= 127.0.0.1:4321

# Modules are compiled once, whatever the environment says: tests start thousands of processes.
unexport PYTHONDONTWRITEBYTECODE

# Tests that are run again with the way of a query compiled: they talk to whole servers, or hold what
# is compiled to what is not. Others put something else into the place of parts of it.
COMPILED := tests/wire tests/conformance/test_own_server.py tests/unit/test_compiled.py \
  tests/property/test_shortcuts.py tests/property/test_session.py tests/property/test_service.py
IS_COMPILED := $(BIN)/python -c 'import rwhoisd, sys; sys.exit(not rwhoisd.COMPILED)'

.PHONY: serve compiled test check fmt lint types layers conformance bench fuzz docs clean
.DEFAULT_GOAL := test

# Remade when the dependencies change.
$(VENV)/.ready: pyproject.toml hatch_build.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rwhoisd needs Python 3.11 or newer: make PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev --editable .
	touch $@

serve: $(VENV)/.ready ## serve the sample zones of data/ on 127.0.0.1:4321
	@$(BIN)/rwhoisd serve --config data/rwhoisd.toml --listen $(LISTEN)

compiled: $(VENV)/.ready ## the way of a query as machine code again, when its sources changed
	@$(IS_COMPILED) || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps --editable . || true
	@$(IS_COMPILED) || echo "not compiled, it runs from its sources: see pip install --verbose --editable ."

test: check compiled ## every check and every test
	$(BIN)/python -m coverage erase
	RWHOIS_PURE_PYTHON=1 $(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=
	$(BIN)/python -m coverage report
	@test -z "$$CI" || $(IS_COMPILED) # there it has to be
	$(BIN)/python -m pytest -n auto --dist worksteal $(COMPILED)

check: lint types layers ## what needs no running

fmt: $(VENV)/.ready ## format and mend what can be mended
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lint: $(VENV)/.ready
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: $(VENV)/.ready
	$(BIN)/mypy

layers: $(VENV)/.ready ## DESIGN §2: lower never imports higher
	$(BIN)/lint-imports

conformance: $(VENV)/.ready ## play the suite against this server
	$(BIN)/rwhois-conformance --set arin --spawn '$(abspath $(BIN))/rwhoisd serve --arin-config {dir}/rwhoisd.conf \
	  --listen 127.0.0.1:{port} --state {dir}/.state --workers 1 --compat {mode}'
	$(BIN)/rwhois-conformance --set rfc --spawn '$(abspath $(BIN))/rwhoisd serve --arin-config {dir}/rwhoisd.conf \
	  --listen 127.0.0.1:{port} --state {dir}/.state --workers 1 --compat {mode}'

bench: compiled ## ratios beside a bare echo server; ARIN=DIR adds ARIN's server
	$(BIN)/python -m bench $(if $(ARIN),--arin-bin $(ARIN)) $(BENCH)

fuzz: $(VENV)/.ready ## an hour of hostile input; FUZZ="--seconds 600 --target session", --replay FILE
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --group fuzz \
	  || echo "atheris cannot be installed here: hypothesis makes the inputs"
	$(BIN)/python -m fuzz $(FUZZ)

docs: $(VENV)/.ready ## regenerate what is generated
	$(BIN)/python -m conformance.docs
	$(BIN)/python -m rwhoisd.config_page docs/operators/configuration.md

clean:
	rm -rf $(VENV) rwhoisd/_compiled .mypy_cache .ruff_cache .pytest_cache .hypothesis state
