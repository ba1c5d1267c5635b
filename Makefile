# What a developer and an operator run. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test test-unit test-race test-aws simulate fuzz audit vulnerabilities localstack localstack-stop build validate deploy lint reference bench bench-growth cost faults paging clean

CACHE := .cache
GOLANGCI_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.9.0
GOLANGCI := $(CACHE)/bin/golangci-lint-$(GOLANGCI_VERSION)
SAM := $(CACHE)/sam/bin/sam
FUZZ_TIME ?= 10s
SEEDS ?= 100000

# How the functions are built: static, and without the parts of the Lambda runtime that only go1.x used.
BUILD_ENV := CGO_ENABLED=0 GOFLAGS="-trimpath -tags=lambda.norpc '-ldflags=-s -w'"

help: ## Lists the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  %-16s %s\n", $$1, $$2}'

run: ## Runs the whole relay on this machine; needs Go alone
	go run ./infra/cmd/relay dev

test: ## Runs everything, as CI does
	infra/test.sh

test-unit: ## Runs the tests that need Go alone
	go test ./...

test-race: ## Runs them under the race detector (needs a C compiler)
	go test -count=1 -race ./shared/... ./infra/check/...

simulate: ## Runs SEEDS random simulations; `go test ./infra/simulate -run TestRandom -seed N -v` repeats one
	go test ./infra/simulate -count=1 -timeout 0 -run TestRandom -seeds $(SEEDS)

fuzz: ## Fuzzes every parser of outside bytes for FUZZ_TIME each
	infra/fuzz.sh $(FUZZ_TIME)

audit: ## Lints openapi.yaml, tries clients and requests made from it, and holds template.yaml to Checkov's rules
	infra/audit/install.sh
	infra/audit/clients.sh
	infra/audit/api.sh
	infra/audit/template.sh

vulnerabilities: ## Looks for known vulnerabilities in what is linked (asks vuln.go.dev)
	go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

localstack: ## Deploys to LocalStack on this machine and leaves it up; prints URL and key
	infra/localstack/install.sh
	infra/localstack/start.sh
	infra/localstack/deploy.sh
	@cat $(CACHE)/localstack/stack.env

localstack-stop: ## Stops it
	infra/localstack/stop.sh

test-aws: ## Runs the conformance and end-to-end tests on the LocalStack that `make localstack` left up
	infra/test.sh aws

build: ## Builds the functions with sam (PARAMETERS="Architecture=x86_64" for that processor), and notes in the built template what they were built from
	$(BUILD_ENV) sam build $(if $(PARAMETERS),--parameter-overrides "$(PARAMETERS)")
	go run ./infra/stamp .aws-sam/build/template.yaml

validate: ## Checks template.yaml
	infra/localstack/install.sh
	$(SAM) validate --lint
	$(CACHE)/sam/bin/cfn-lint -c I -- template.yaml

deploy: build ## Deploys to your AWS account; asks for the parameters
	sam deploy --guided

lint: $(GOLANGCI) ## Runs golangci-lint
	$(GOLANGCI) run ./...

$(GOLANGCI):
	GOBIN="$(CURDIR)/$(CACHE)/bin" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(CACHE)/bin/golangci-lint $@

reference: ## Makes the page under /docs from openapi.yaml, and that of the commands
	go generate ./shared/api
	go run ./infra/cmd/relay reference >infra/docs/commands.md

bench: ## Measures and stores the results in infra/bench/results; about five minutes
	go run ./infra/bench

bench-growth: ## Measures relay dev over a file of 5,000,000 events; six minutes and more, and 10 GB for as long
	go run ./infra/bench -only growth -stored 5000000 -rounds 6

cost: ## Counts what events ask of AWS on LocalStack, prices a million, stores that in infra/cost/results; five minutes
	infra/cost/run.sh

faults: ## Runs the relay into faults, measures and stores the results in infra/faults/results; about ten minutes
	go run ./infra/faults

paging: ## Pages through lists of 10,000 endpoints and 1,000,000 events; stores what a page costs in infra/paging/results
	go test ./infra/paging -count=1 -timeout 60m -v -run TestPages -full

clean: ## Removes what was built; keeps .relay, your data
	rm -rf .aws-sam $(CACHE)
