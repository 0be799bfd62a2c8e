# Every command of the project. `make` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(PATH)
PYTHON := .venv/bin/python
LOGS := build/tests

UNIT := tests/unit tests/model tests/sagas tests/gateway tests/guestdata tests/contract
# More arguments for pytest: make test-unit ARGS="-k boot -x"
ARGS ?=

say = @printf '\n== %s\n' "$(1)"

# $(call pytest,FOLDERS,OPTIONS): the tests of those folders that exist, their output also into a log.
tests_in = $(shell find $(1) -name 'test_*.py' 2>/dev/null | head -n 1)
define pytest
	$(call say,$@: pytest $(1) $(2) $(ARGS))
	@mkdir -p $(LOGS) && rm -f $(LOGS)/$@.log
	@if [[ -n "$(call tests_in,$(1))" ]]; then \
		$(PYTHON) -m pytest $(wildcard $(1)) $(2) $(ARGS) 2>&1 | tee $(LOGS)/$@.log; \
	else echo "$@: no tests here yet"; fi
endef

.PHONY: help
help:  ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

# --- set-up -----------------------------------------------------------------------------------

.PHONY: setup
setup:  ## Make this machine ready: Debian packages, then .venv from the lock (< 1 s when done)
	@tools/setup/install.sh

$(PYTHON):
	@tools/setup/install.sh venv

.PHONY: lock
lock: $(PYTHON)  ## Resolve pyproject.toml into the lock files (ARGS=--upgrade takes newer versions)
	@tools/setup/lock.sh $(ARGS)

.PHONY: guest-image
guest-image: $(PYTHON)  ## Build the small guest image that tests and the demo boot
	$(call say,guest image)
	@$(PYTHON) -m tools.guest_image

.PHONY: demo
demo: setup guest-image  ## Start a small cloud on this machine and boot a VM in it
	@tools/demo.sh

# --- code -------------------------------------------------------------------------------------

.PHONY: lint
lint: $(PYTHON)  ## Everything that reads the code without running it
	$(call say,ruff check)
	@ruff check .
	$(call say,ruff format)
	@ruff format --check .
	$(call say,mypy)
	@mypy
	$(call say,who imports whom)
	@lint-imports --no-logo
	$(call say,wire contract)
	@tools/protos.sh lint
	@tools/protos.sh breaking
	@$(MAKE) protos-check
	$(call say,spelling)
	@git ls-files -z --cached --others --exclude-standard | xargs -0 codespell

.PHONY: fmt
fmt: $(PYTHON)  ## Bring code and .proto files into the one layout
	@ruff check --fix-only --quiet .
	@ruff format .
	@tools/protos.sh format

.PHONY: protos
protos: $(PYTHON)  ## Generate Python code from protos/novaray/v1/*.proto
	@tools/protos.sh generate

.PHONY: protos-check
protos-check: $(PYTHON)  ## Fail where the committed generated code is not what the .proto files give
	@tools/protos.sh check

.PHONY: golden-update
golden-update: $(PYTHON)  ## Write the golden files of tests/golden again; then read the difference
	$(call say,golden files)
	@NOVARAY_GOLDEN_UPDATE=1 $(PYTHON) -m pytest tests -m 'not ray and not live' -q
	@git --no-pager diff --stat -- tests/golden

# --- tests ------------------------------------------------------------------------------------

TEST_STEPS := setup lint test-unit test-stack test-ray test-live

.PHONY: test
test:  ## All of it, in order: set-up, lint, then every suite
	@rm -rf $(LOGS)
	@for step in $(TEST_STEPS); do \
		started=$$SECONDS; $(MAKE) $$step; \
		printf '== %s took %d s\n' "$$step" $$((SECONDS - started)); \
	done
	$(call say,summary)
	@cd $(LOGS) && for log in $(filter test-%,$(TEST_STEPS)); do \
		if [[ -e $$log.log ]]; then printf '%s\n' "$$log" && tail -n 1 $$log.log; fi; \
	done

.PHONY: test-unit
test-unit: $(PYTHON)  ## Tests without processes: units, models, sagas, gateway
	$(call pytest,$(UNIT),-n auto -m "not live")

.PHONY: test-stack
test-stack: $(PYTHON)  ## The whole stack over libvirt's own test driver
	$(call pytest,tests/stack,)

.PHONY: test-ray
test-ray: $(PYTHON)  ## A real local Ray: actors that die and come back
	$(call pytest,tests/ray,)

.PHONY: test-live
test-live: $(PYTHON) guest-image  ## Real libvirtd and QEMU in test hosts (root)
	$(call pytest,tests/live tests/contract,-m live)

.PHONY: bench
bench: $(PYTHON)  ## Measure, and print what was measured
	@$(PYTHON) -m tools.bench $(ARGS)

# ----------------------------------------------------------------------------------------------

.PHONY: clean
clean:  ## Remove what is built and cached; .venv stays
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
