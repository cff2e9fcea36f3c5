# Everything builds in release, in one target folder, and always the whole workspace: cargo unifies features over the
# packages it is told, so with one package alone the query engine would be compiled a second time.

TARGET := $(or $(CARGO_TARGET_DIR),target)
PYTHON := .venv/bin/python
CARGO  := cargo

.DEFAULT_GOAL := help
.PHONY: help setup run web models test sdk check fmt parity openapi browser screenshots

help: ## Show these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: ## Install what the build needs, or say in one line what to install
	@scripts/setup

run: setup web ## Build, fetch the default models on the first start, and serve on 127.0.0.1:4100
	$(CARGO) build --release --workspace
	$(TARGET)/release/quarterdeck serve

web: web/dist/index.html ## Build the console into web/dist, from where the binary takes it

web/node_modules/.package-lock.json: web/package-lock.json | setup
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

WEB_SOURCES := $(shell find web/src web/public -type f) web/index.html web/vite.config.ts web/tsconfig.json
web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run --silent build
	@touch $@

models: .venv/ready ## Put the models that tests need into ~/.cache/quarterdeck/test-models
	@$(PYTHON) scripts/fetch-test-models

test: setup browser web models ## Run every test
	cd web && npm run --silent test && scripts/client-is-fresh
	$(CARGO) test --release --workspace
	QUARTERDECK_BIN=$(abspath $(TARGET))/release/quarterdeck npm --prefix web run --silent e2e
	$(MAKE) --no-print-directory sdk
	QUARTERDECK_BIN=$(abspath $(TARGET))/release/quarterdeck $(PYTHON) -m pytest -p no:cacheprovider tests/openai tests/telemetry

sdk: .venv/ready ## Check and test the Python package
	cd sdk/python && ../../$(PYTHON) -m mypy --cache-dir ../../.venv/mypy
	$(PYTHON) -m pytest -p no:cacheprovider sdk/python/tests

check: setup ## Formatting and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- --deny warnings

fmt: ## Format the code
	$(CARGO) fmt --all

parity: models ## Make the reference outputs in parity/ anew, from independent implementations
	parity/run

openapi: setup ## Write docs/openapi.json anew from the code
	$(CARGO) build --release --workspace --quiet
	$(TARGET)/release/quarterdeck openapi > docs/openapi.json.part
	mv docs/openapi.json.part docs/openapi.json

browser: ## Install the browser that tests of the console drive, or say what to install
	@scripts/setup browser

screenshots: web browser ## Take docs/screenshots anew
	cd web && node e2e/screenshots.mjs

.venv/ready: tests/openai/requirements.txt tests/telemetry/requirements.txt sdk/python/pyproject.toml | setup
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --requirement tests/openai/requirements.txt --requirement tests/telemetry/requirements.txt --editable sdk/python
	@touch $@
