# make demo   the main job on an embedded SoftHSM2; does all set-up
# make test   everything; does all set-up
# make lint   format, clippy, documentation, dependencies
# make bench  raw C_Sign against the whole daemon, in one run

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON := target/venv/bin/python
PACKAGES := softhsm2 gcc g++ make python3-venv ca-certificates openssl
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
DAEMONS := -p psdd -p psdd-hsm -p psdctl

.PHONY: help setup venv browser build demo test lint bench clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# Installs what is missing of Debian's packages; asks for nothing where nothing is missing.
setup:
	@command -v cargo >/dev/null || { echo "cargo is missing: install a Rust toolchain of 1.89 or later" >&2; exit 1; }
	@missing=""; for package in $(PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; \
	  $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi

venv: target/venv/.complete

target/venv/.complete: softhsm-tests/python/requirements.txt | setup
	@echo "python packages for the independent checker and the vendor client"
	@/usr/bin/python3 -m venv target/venv
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r softhsm-tests/python/requirements.txt
	@touch $@

build: setup
	cargo build --locked $(DAEMONS)

demo: build
	@softhsm-tests/demo.sh

# Tests look at pages in a browser.
browser: setup
	@command -v chromium >/dev/null || { echo "installing chromium"; $(SUDO) apt-get update -qq && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

test: build venv browser
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked --workspace --no-fail-fast; \
	else cargo test --locked --workspace --no-fail-fast; fi
	$(PYTHON) -m pytest -q softhsm-tests/python/tests

lint: setup
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --locked --workspace --no-deps --quiet
	@softhsm-tests/check-docs.sh
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check bans licenses sources; \
	else echo "cargo-deny is not installed: dependency rules were not checked"; fi

bench: setup
	cargo build --locked --release $(DAEMONS) -p psdd-bench
	target/release/psdd-bench
	cargo run --locked --release --quiet -p psdd --example selection_time

clean:
	cargo clean
