# Two commands matter: `make recovery` runs the main job, `make test` passes all tests.
# Each sets up everything by itself (.venv, pinned by constraints.txt) and is instant the second time.

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
READY := .venv/.ready
LINTERS := .venv/.ready-lint
CLIENTS := .venv-clients/.ready
NODE_CLIENTS := tests/contract/clients/node/node_modules/.ready

# Kept bytecode halves the start of everything that is launched here.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help recovery test smoke contract matrix mutants soak lint docs demo clients breaks public-defects stability agreement league league-recovery clean
.DEFAULT_GOAL := help

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

recovery: $(READY) ## the main job: stage the recovery scenarios, write reports/report.html
	$(PYTEST) -m recovery

test: $(READY) ## all tests
	$(PYTEST) -n auto --dist loadfile

smoke: $(READY) ## the quick selection that CI runs on every push
	$(PYTEST) -m smoke

# Twice as many as there are cores: half of the time is a wait for a time-out. Each more would cost 2 s of CPU to start.
contract: $(READY) ## what the proxy says on the wire
	$(PYTEST) -m contract -n 4 --dist worksteal

# Four at once on two cores: half of the time is a wait for a target that is slow on purpose.
matrix: $(READY) ## prove the contract's checks: each fault turns exactly its declared ones red
	E2E_LUMEN_WHOLE_MATRIX=1 $(PYTEST) tests/matrix -n 4

# Four at once on two cores: half of the time is a wait for a deadline or for a process.
mutants: $(READY) ## prove the checks of recovery: each mutant of the proxy fails exactly its declared ones
	$(PYTEST) -m mutants -n 4 --dist worksteal --html=reports/mutants.html

soak: $(READY) ## random kills, hangs, restarts and faults of the gateway under load: MINUTES=10 SEED=7
	E2E_LUMEN_SOAK_MINUTES=$(or $(MINUTES),10) E2E_LUMEN_SOAK_SEED=$(SEED) $(PYTEST) tests/soak/test_20_soak.py -s

lint: $(LINTERS) ## style, types, layers, workflow, deployment files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/actionlint
	$(BIN)/zizmor --offline --quiet action.yml .github
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/kubernetes-validate --strict --quiet deploy/kubernetes.yaml

docs: $(READY) ## write the tables of settings, checks, faults and clients into the docs
	$(BIN)/python docs/settings.py
	$(BIN)/python -m docs.tables
	PYTHONPATH=benchmarks $(BIN)/python -m breaks pages
	$(BIN)/python -m docs.catalogue
	$(BIN)/python -m tests.mutants.missing
	$(BIN)/python -m docs.readme
	PYTHONPATH=benchmarks $(BIN)/python -m supervised pages
	PYTHONPATH=. $(BIN)/python benchmarks/public-defects --pages

demo: $(READY) ## a Korean question, a killed worker, the next question; no network
	$(BIN)/lumen-proxy demo

clients: $(CLIENTS) $(NODE_CLIENTS) ## set up real clients, Python and Node; later test runs use them against the proxy
	@.venv-clients/bin/python tests/contract/clients/versions.py

breaks: $(READY) $(CLIENTS) $(NODE_CLIENTS) ## serve every fault to real clients; writes docs/breaks.md, the evidence of tier M
	PYTHONPATH=benchmarks $(BIN)/python -m breaks

public-defects: $(READY) ## the contract against the defects of public reports; docs/public-defects.md has the share that it catches
	PYTHONPATH=. $(BIN)/python benchmarks/public-defects

stability: $(READY) ## 50 green runs of recovery in a row, 25 of them on busy cores; figures to benchmarks/
	$(BIN)/python benchmarks/stability.py

agreement: $(READY) ## the contract alone, in parallel, in random orders and again: the same verdicts; figures to benchmarks/
	$(BIN)/python benchmarks/agreement.py

league: $(READY) ## judge other servers by the contract, each in an environment of its own; writes docs/league.md
	PYTHONPATH=benchmarks $(BIN)/python -m league
	$(MAKE) league-recovery

league-recovery: $(READY) ## kill, hang and stop servers under other supervisors; writes docs/league-recovery.md
	PYTHONPATH=benchmarks $(BIN)/python -m supervised

clean: ## remove what was set up and made
	rm -rf .venv .venv-clients .venv-league-* $(dir $(NODE_CLIENTS)) reports build *.egg-info .mypy_cache .pytest_cache .ruff_cache

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("make: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; say: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

$(LINTERS): $(READY)
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt --editable '.[test,lint]'
	@touch $@

$(CLIENTS): pyproject.toml constraints-clients.txt tests/contract/clients/python/openai-3.txt
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints-clients.txt --editable '.[clients,client-tools]'
	.venv-clients/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --upgrade --target .venv-clients/openai-3 --requirement tests/contract/clients/python/openai-3.txt
	@touch $@

$(NODE_CLIENTS): $(addprefix tests/contract/clients/node/,package.json package-lock.json .npmrc)
	@command -v npm >/dev/null || { echo 'make: Node with npm is needed for the clients of Node, and there is none on the PATH' >&2; exit 1; }
	cd tests/contract/clients/node && npm ci --loglevel=error --ignore-scripts
	@touch $@
