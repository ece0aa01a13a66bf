# The commands of this repository. `make help` lists them.

CARGO ?= cargo

.PHONY: help build demo test check reference fuzz faults deny dist bench bench-parts book pictures fixtures tools clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/'

build: ## build the release binary
	$(CARGO) build --release --locked

demo: ## do the main job on the fixtures: merge, verify, list (needs Rust and make alone)
	$(CARGO) build --profile quick --locked
	scripts/demo.sh target/quick/barge

tools: ## install what the tests need (Debian packages, when root)
	scripts/test-tools.sh

test: tools ## run every test
	scripts/test.sh

check: ## format, lints, documentation, a short run of every fuzz target, then every test
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	$(MAKE) --no-print-directory fuzz TIME=10 RUNS=3000
	$(MAKE) --no-print-directory test

reference: ## write docs/reference.md out of what --help shows
	BARGE_UPDATE_REFERENCE=1 $(CARGO) test --locked --bin barge -- help::reference

fuzz: tools ## try every fuzz target for TIME seconds each (default 60; needs a C++ compiler), or TARGETS alone
	RUNS=$(RUNS) scripts/fuzz.sh $(or $(TIME),60) $(TARGETS)

faults: tools ## every fault at every step of every command, hours of it (root; docs/faults.md)
	scripts/faults.sh

dist: ## a release of HEAD in dist/: binaries, package, source, image, SBOMs, sums (docs/packaging.md; PLATFORMS="amd64 arm64")
	scripts/test-tools.sh scripts/dist-packages.txt
	scripts/dist/make.sh

deny: ## licences, sources and known faults of the dependencies (needs cargo-deny; the last also a network)
	$(CARGO) deny --locked check
	$(CARGO) deny --locked --manifest-path fuzz/Cargo.toml check advisories bans sources

bench: build ## barge and every other program found on PATH side by side (minutes, root for Debian's files; ARGS="--rounds 3 copy")
	$(CARGO) bench --locked --bench peers -- $(ARGS)

bench-parts: ## the parts by themselves: hashing, tar, gzip, graph, JSON (minutes; ARGS=gzip for those of that name)
	$(CARGO) bench --locked --bench parts -- $(ARGS)

book: ## make the pages in docs/ a book, target/book/index.html (needs mdbook, no network)
	@command -v mdbook >/dev/null || { echo "mdbook is not installed: \`cargo install mdbook --locked\` gets it" >&2; exit 1; }
	mdbook build docs

pictures: ## draw the pictures of the documentation again: what the commands print today (PNG=DIR to look at them, with Chromium)
	scripts/pictures.sh

fixtures: ## make the fixtures again (root, Debian 12; fixtures/README.md)
	scripts/test-tools.sh fixtures/packages.txt
	fixtures/make.sh

clean: ## remove what was built
	$(CARGO) clean
