# Every target first sees to the programs it needs (scripts/setup); nothing else is asked of you.

SHELL := bash
export PATH := $(HOME)/.cargo/bin:$(PATH)

# Tests start real programs and wait for them; more of them at a time than cores is quicker.
TEST_THREADS ?= 3
# Handed to what is run: make demo ARGS="--agent claude", make test ARGS=tidy, make bench ARGS=plan
ARGS ?=
TARGET_DIR := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)

.PHONY: help demo test docs pictures simulate lint fmt-check deps-check house-check clippy bench torture build clean

help:
	@echo "make demo    build orch and let it do three tasks in a temporary home, offline; cleans up after itself"
	@echo "make test    all tests, with the real agent CLIs against a scripted model server"
	@echo "make simulate    months of the engine's turns from fresh seeds, for a minute (SECONDS=60), or one seed (SEED=7)"
	@echo "make docs    the reference pages and config.example.yml, made anew from the code"
	@echo "make pictures    the pictures of the documentation, from a real terminal"
	@echo "make lint    format, dependencies, secrets, workflows, clippy"
	@echo "make bench   the benchmarks, as a table"
	@echo "make torture what survives what, as a table: about an hour and a half; QUICK=1 a few minutes, ROW=R2 one row of it"
	@echo "make build   the release binary, in $(TARGET_DIR)/release/orch"
	@echo "make clean   remove what was built"

demo:
	@scripts/setup demo
	cargo build --locked --bin orch
	@"$(TARGET_DIR)/debug/orch" demo $(ARGS)

test:
	@scripts/setup test
	@scripts/install-agent-clis > /dev/null # says what it does, and where it fails, before cargo begins
	@scripts/install-linters > /dev/null || [ "$$CI" != true ] # a test that does without them says so, where it may
	ORCH_TEST_CLIS="$$(scripts/install-agent-clis)" cargo test --locked --workspace --no-fail-fast -- --test-threads $(TEST_THREADS) $(ARGS)

# Fresh seeds for a minute, or one seed again: make simulate SEED=7; FROM=7 takes those from there on (SEEDS=100 so many), WORLDS=clocks only
# clocks that jump, WORLDS=years a year or two with little to do. PROFILE=release gets through many times as many.
SECONDS ?= 60
SEEDS ?=
PROFILE ?= dev
simulate:
	@scripts/setup demo
	set -o pipefail; SEED="$(SEED)" FROM="$(FROM)" SECONDS="$(SECONDS)" SEEDS="$(SEEDS)" WORLDS="$(WORLDS)" cargo test --locked --profile $(PROFILE) --package orch-engine --lib simulation::hunt::fresh_seeds -- --exact --nocapture 2>&1 | tee "$(TARGET_DIR)/simulated.txt"
	@grep -q "1 passed" "$(TARGET_DIR)/simulated.txt" # a name that matches nothing runs nothing, and is no error to cargo

# The tests that compare a page with the code write it instead.
docs:
	@scripts/setup demo
	ORCH_BLESS=1 cargo test --locked --test it -- docs::api docs::commands docs::configuration docs::exit_codes docs::states config_example::the_example

pictures:
	@scripts/setup demo
	cargo build --locked --bin orch
	@scripts/make-pictures "$(TARGET_DIR)/debug/orch"

lint: fmt-check deps-check house-check clippy

fmt-check:
	@scripts/setup lint
	cargo fmt --all --check

deps-check:
	@scripts/setup lint
	@scripts/check-deps
	@if cargo deny --version > /dev/null 2>&1; then cargo deny --offline check bans licenses sources; fi

# Secrets, advisories, the formula and the workflows. Advisories need cargo-deny and the linters the network: what cannot be had is
# said and left out, but the linters where CI=true.
house-check:
	@scripts/scan-secrets
	@scripts/make-formula --check
	@scripts/check-advisories
	@scripts/check-workflows

clippy:
	@scripts/setup lint
	cargo clippy --locked --workspace --all-targets -- -D warnings

bench:
	@scripts/setup bench
	cargo bench --locked --profile release --bench '*' -- $(ARGS)

# Its orch dies at named points: a build of its own (target/debug, linked to target/torture while it runs).
torture:
	@scripts/setup bench
	cargo bench --locked --profile $(if $(QUICK),dev,release) --features failpoints --bench torture -- $(if $(QUICK),--quick) $(if $(BLESS),--bless) $(ROW)

build:
	@scripts/setup demo
	cargo build --locked --release --bin orch

clean:
	cargo clean
