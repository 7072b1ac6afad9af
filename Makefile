# Everything a contributor needs: `make setup`, `make test`, `make lint`; `make demo` shows the product.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COMPILED := $(VENV)/.compiled

.PHONY: setup demo test lint format audit bench-proxy bench-monitor generate clean
.DEFAULT_GOAL := setup

setup: $(STAMP) $(COMPILED) ## .venv with every extra but gpu and alibi; the data plane compiled where there is a C compiler

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Driftline needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "Could not make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[monitor,runtime,demo,dev]'
	@touch $@

# Whatever the compiled modules import may change what they are compiled to.
$(COMPILED): $(STAMP) hatch_build.py $(wildcard config/*.py detectors/*.py http1/*.py payloads/*.py privacy/*.py proxy/*.py records/*.py runtime/*.py store/spool/*.py)
	@$(BIN)/python hatch_build.py > $(VENV)/compile.log || { cat $(VENV)/compile.log; exit 1; }
	@grep -A1 '^Not compiled' $(VENV)/compile.log || true
	@touch $@

demo: setup ## the product on real input, in a minute
	$(BIN)/driftline demo $(ARGS)

test: setup ## lint, types and every test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

audit: ## known vulnerabilities of what constraints.txt names: asks PyPI, and says what PyPI could not be asked for
	@PYTHON=$(PYTHON) .ci/audit

format: setup
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

generate: setup ## files that are made from code and committed
	$(BIN)/python -m config.reference > docs/settings.md
	$(BIN)/python -m driftline.metrics_reference > docs/metrics.md
	$(BIN)/python -m injection.reference > docs/annotations.md
	$(BIN)/python -m bench.published
	$(BIN)/python -m grafana.generate
	$(BIN)/driftline alerts rules --config deploy/compose/driftline.yaml > deploy/compose/driftline.rules.yaml
	$(BIN)/driftline alerts routes --config deploy/compose/driftline.yaml > deploy/compose/alertmanager.yaml
	{ cat deploy/kubernetes/monitoring/rules.head; $(BIN)/driftline alerts rules | sed 's/^\(.\)/  \1/'; } > deploy/kubernetes/monitoring/rules.yaml
	$(BIN)/driftline inject -f deploy/kubernetes/sidecar/app.yaml > deploy/kubernetes/sidecar/injected.yaml

bench-proxy: setup ## beside nginx and aiohttp, in one run (needs nginx and wrk)
	$(BIN)/python -m bench.proxy $(ARGS)

bench-monitor: setup ## CPU per exchange of the watching side, by stage
	$(BIN)/python -m bench.monitor $(ARGS)

clean:
	find . -name "*.so" -not -path "./$(VENV)/*" -delete
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
