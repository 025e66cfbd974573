# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
#
# The way in. What each check runs is named in noxfile.py.

NOX := .tools/bin/uv run --frozen --no-sync nox --no-verbose

.DEFAULT_GOAL := help
.PHONY: help setup mini mini-down test test-slow bench docs format generate

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing: OS packages, uv, the locked environment
	@setup/install

mini: setup ## Bring up a confidential cluster on this machine, by Terraform
	@setup/mini

mini-down: ## Destroy it: machines, disks, secrets
	@setup/mini down

test: setup ## Run every check; pytest comes last
	@$(NOX)
	@$(NOX) --session pytest

test-slow: ## Run the slow tier: real boots, many examples, mutation tests, the newest Python
	@setup/install slow
	@$(NOX) --session slow mutation newest_python

bench: setup ## Measure, and print the figures beside the targets
	@$(NOX) --session bench

docs: setup ## Build the documentation into site/
	@$(NOX) --session docs

format: setup ## Rewrite the code as ruff wants it
	@$(NOX) --session format

generate: setup ## Write generated files anew
	@$(NOX) --session generate
