# Everything builds in release, in one target folder, and always the whole workspace: cargo unifies features over the
# packages it is told, so with one package alone the query engine would be compiled a second time.

TARGET := $(or $(CARGO_TARGET_DIR),target)
PYTHON := .venv/bin/python
CARGO  := cargo

.DEFAULT_GOAL := help
.PHONY: help setup run models test check fmt parity openapi

help: ## Show these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: ## Install what the build needs, or say in one line what to install
	@scripts/setup

run: setup ## Build, fetch the default models on the first start, and serve on 127.0.0.1:4100
	$(CARGO) build --release --workspace
	$(TARGET)/release/quarterdeck serve

models: .venv/ready ## Put the models that tests need into ~/.cache/quarterdeck/test-models
	@$(PYTHON) scripts/fetch-test-models

test: setup models ## Run every test
	$(CARGO) test --release --workspace
	QUARTERDECK_BIN=$(abspath $(TARGET))/release/quarterdeck $(PYTHON) -m pytest -p no:cacheprovider tests/openai

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

.venv/ready: tests/openai/requirements.txt | setup
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --requirement tests/openai/requirements.txt
	@touch $@
