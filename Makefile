# `make` lists the targets. Everything needs Go, git and make, and nothing else:
# the tools are built from the modules in tools.mod, Kubernetes from those below
# test/lab/controlplane/build, what people deploy with from those below
# test/lab/clients/build, and images by release/images. A real node, of which the parts
# are below test/lab/node/build, wants Linux, root and runc as well.

.DEFAULT_GOAL := help
.PHONY: help check format vet lint arch fmt generate test test-unit e2e e2e-node fuzz mutate up down demo bench build images vulncheck

tool := go tool -modfile=tools.mod

# How long `make fuzz` spends on each target, as in FUZZTIME=5m.
FUZZTIME ?= 10s

# Flags and packages for `make mutate`, as in MUTATE="--sample 60 ./internal/cluster".
MUTATE ?=

# Flags for `make images`, as in IMAGES="-version 0.1.0 -push registry.example.com/team".
IMAGES ?=

# Added to the flags of the programs that `make up`, `make demo` and `make bench`
# start, as in CONFIGPIN_FLAGS_VERSIONER="--settle=500ms".
export CONFIGPIN_FLAGS_WEBHOOK CONFIGPIN_FLAGS_VERSIONER

help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-10s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Before a commit

check: format arch vet lint ## all of the four below, the fast ones first

format: ## complain about files that gofumpt would write otherwise
	@unformatted=$$($(tool) gofumpt -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then \
		echo "These files are not formatted; run \`make fmt\`:"; \
		echo "$$unformatted" | sed 's/^/  /'; \
		exit 1; \
	fi

arch: ## who may import whom
	@go test -count=1 ./test/arch

vet: ## compile everything, tests as well, and vet it
	@go vet ./...

lint: ## the linters, each with its reason in .golangci.yml
	@$(tool) golangci-lint run ./...

fmt: ## format every file
	@$(tool) gofumpt -w .

generate: ## make what is made from others: manifests from the chart, its README from its values, the references from the code
	@go run ./test/chart/generate
	@go test -count=1 ./test/docs ./test/plugin -run IsMade -update
	@$(tool) helm-docs --chart-search-root manifests/charts --log-level warning

vulncheck: ## known vulnerabilities in what we call; needs the network, so it's no part of the tests
	@$(tool) govulncheck ./...

##@ Tests

# Results are never taken from the cache (-count=1): it doesn't see what a test
# builds or lists through the go command. make check has vetted everything (-vet=off).
#
# Building Kubernetes, helm and the like comes first, because it says how far it is,
# and a test that waits for it doesn't. Afterwards go test is silent while a package runs, some
# for minutes: a line every half a minute says that it is alive. The sleep keeps
# its hands off the output, or whoever reads that through a pipe would wait for it.
test: ## all tests but those below test/e2e; the first time, this builds Kubernetes and helm, which takes minutes
	@go run ./test/local build
	@began=$$(date +%s); \
	( while sleep 30 >/dev/null 2>&1; do echo "... still testing, $$(( $$(date +%s) - began )) s so far"; done ) & alive=$$!; \
	trap 'kill $$alive 2>/dev/null' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; \
	go test -count=1 -vet=off -timeout 60m $$(go list ./... | grep -v /test/e2e/)

e2e: ## make a release; what it takes minutes to try of an installation's life, and of races
	@go run ./test/local build
	@go test -count=1 -vet=off -timeout 60m -p 1 -v ./test/e2e/release ./test/e2e/lifecycle
	@echo "playing the garbage collector against admission, in every order of their steps, and builds that do what they shouldn't: eight minutes"
	@go test -count=1 -vet=off -timeout 60m -p 1 ./test/e2e/races ./test/e2e/sabotage

e2e-node: ## install it on a real node, and ask containers what they read (Linux, root, runc; skipped where they aren't)
	@go test -count=1 -vet=off -timeout 60m -v ./test/e2e/node

test-unit: ## the tests of internal/: seconds, without a cluster
	@go test -short -timeout 5m ./internal/...

fuzz: ## every fuzz target for FUZZTIME each (10s)
	@grep -r --include='*_test.go' '^func Fuzz' cmd internal test \
	| sed -n 's|^\(.*\)/[^/]*:func \(Fuzz[A-Za-z0-9_]*\)(.*|\1 \2|p' \
	| while read -r folder target; do \
		echo "$$target in $$folder, for $(FUZZTIME)"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "./$$folder" </dev/null || exit 1; \
	done

mutate: ## change the program in small places, and tell which changes no unit test notices (MUTATE="--help"); minutes
	@go run ./test/mutation $(MUTATE)

##@ A cluster on this machine

up: ## start a control plane with configpin in it (SECRETS=1: serve Secrets too; NODE=real: run containers)
	@CONFIGPIN_SECRETS="$(SECRETS)" CONFIGPIN_NODE="$(NODE)" go run ./test/local up

down: ## stop it, and remove what it left
	@go run ./test/local down

demo: ## show what configpin does, step by step
	@go run ./test/demo

bench: ## measure it against its budgets
	@go run ./test/bench

##@ Programs

build: ## build the programs into bin/
	@go build -trimpath -o bin/ ./cmd/...

images: ## build OCI images of them into bin/images, for amd64 and arm64 (the first time takes minutes)
	@go run -C release/images . -into "$(CURDIR)/bin/images" $(IMAGES)
