# The commands of this repository. `make help` lists them.

CARGO ?= cargo
BARGE := target/release/barge

.PHONY: help build demo test check fixtures tools clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' Makefile | sed 's/:.*## /\t/'

build: ## build the release binary
	$(CARGO) build --release --locked

demo: build ## do the main job on the fixtures: merge, verify, list (needs Rust and make alone)
	scripts/demo.sh $(BARGE)

tools: ## install what the tests need (Debian packages, when root)
	scripts/test-tools.sh

test: tools ## run every test
	scripts/test.sh

check: ## format, lints, documentation, then every test
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	$(MAKE) --no-print-directory test

fixtures: ## make the fixtures again (root, Debian 12; fixtures/README.md)
	scripts/test-tools.sh fixtures/packages.txt
	fixtures/make.sh

clean: ## remove what was built
	$(CARGO) clean
