# All commands of the project, for GNU make. `make run` and `make demo` need Rust and a C compiler; `make test` installs the rest.

CARGO ?= cargo
FUZZ_SECONDS ?= 60
FAULTS ?=
PROGRAMS ?= release
# The cargo profile with which `make run` and `make demo` build.
TRY_PROFILE ?= try
# The features with which `make dist` builds the worker.
WORKER_FEATURES ?= default

.DEFAULT_GOAL := help
.PHONY: help toolchain run demo dist setup setup-all test-binaries test test-versions compat-table test-elastic test-compose test-faults fault-table bench-outage soak released lint fmt deny fuzz

help: ## this list
	@echo "Commands (README.md says what each needs):"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

toolchain:
	@scripts/check-toolchain $(CARGO)

# Without the allocator, whose build takes as long as everything else.
TRY = $(CARGO) run --profile $(TRY_PROFILE) -p standalone --no-default-features
# Printed only if there is no program from an earlier run.
define announce
	@test -x "$${CARGO_TARGET_DIR:-target}/$(patsubst dev,debug,$(TRY_PROFILE))/standalone" || echo "make $@: builds the program \`standalone\`, then starts it. The first build takes about a minute on two idle cores, up to five on busy ones; later ones take seconds."
endef

run: toolchain ## the three services in one process, on one SQLite file
	$(announce)
	$(TRY)

demo: toolchain ## an allowed, a refused and an invalid request, and one with the ACL service down, shown end to end
	$(announce)
	$(TRY) -- demo

# The worker is built separately: built together with standalone, which has no Elasticsearch, each would get the features of both.
dist: toolchain ## the four programs, stripped, in dist/; WORKER_FEATURES=servers leaves out Elasticsearch, and with it OpenSSL
	$(CARGO) build --locked --profile dist -p public-api -p acl-service -p standalone
	$(CARGO) build --locked --profile dist -p worker --bin worker --no-default-features --features "$(WORKER_FEATURES)"
	mkdir -p dist
	cd "$${CARGO_TARGET_DIR:-target}/dist" && install public-api acl-service worker standalone "$(CURDIR)/dist"
	ls -l dist

setup: ## install what the tests need: RabbitMQ, Redis, OpenSSL's headers, Python with Celery
	scripts/setup

setup-all: setup ## install what the other test commands need as well; they report what cannot be installed
	scripts/setup-versions
	scripts/setup-elastic
	$(if $(SKIP_COMPOSE),,scripts/setup-compose images)

# .ci/run builds everything once and passes the list to the commands below as TEST_BINARIES. They do not call cargo then, whose
# lock the lints hold for minutes.
JSON = --message-format=json-render-diagnostics
test-binaries: toolchain ## build the test binaries of the commands below, listed in target/test-binaries.json
	mkdir -p "$${CARGO_TARGET_DIR:-target}"
	{ $(CARGO) test --workspace --no-run $(JSON) && $(CARGO) test --workspace --no-run --test elastic --test compose $(JSON); } \
		>"$${CARGO_TARGET_DIR:-target}/test-binaries.json"

# The test binary of this name alone, with arguments.
test-binary = $(if $(TEST_BINARIES),scripts/run-tests "$(TEST_BINARIES)" --test $(1),$(CARGO) test --workspace --test $(1) --)

test: ## every test, after installing what they need; ends with a summary, logs in target/test-logs/
	@scripts/test $(CARGO)

# Two versions at a time, because a Celery worker takes seconds of CPU to start. The newest and the oldest version run in
# `make test` as well; in .ci/run they run only there.
test-versions: toolchain setup ## every Celery version and rusty-celery in both directions, compared with docs/COMPATIBILITY.md
	scripts/setup-versions
	cd tests/rusty-celery && $(CARGO) build --locked
	$(call test-binary,compat) $(if $(TEST_BINARIES),--ignored,--include-ignored) --test-threads=2 celery_ no_cell

compat-table: ## test-versions, but write the tables of docs/COMPATIBILITY.md
	COMPAT_TABLE=write $(MAKE) test-versions

test-elastic: toolchain setup ## the audit log in a genuine Elasticsearch 8.17, beside Python's
	scripts/setup-elastic
	$(call test-binary,elastic)

# These run the programs of the release build; only the tests around them are debug builds.
RELEASED = FAULT_PROGRAMS="$(CURDIR)/target/release" $(CARGO) test --workspace --test faults --

# One fault at a time, so that each has the machine to itself. FAULTS=rabbitmq:: runs some of them; FAULT_SECONDS=60 runs each for longer.
test-faults: released ## every fault under load: no accepted request is lost; twenty minutes
	scripts/setup-elastic
	scripts/setup-faults
	$(RELEASED) --test-threads=1 --nocapture $(FAULTS)

fault-table: ## test-faults, but write the table of docs/RELIABILITY.md
	FAULT_TABLE=write $(MAKE) test-faults

bench-outage: released ## callers notice nothing while the audit log is down (Redis, then Elasticsearch): 500 requests per second, two minutes each
	scripts/setup-elastic
	$(RELEASED) --ignored --test-threads=1 --nocapture outage::

soak: released ## memory and file descriptors stay flat: 300 requests per second for SOAK_MINUTES=30
	$(RELEASED) --ignored --nocapture soak::

released: toolchain setup
	$(CARGO) build --release -p system-tests --bins

# One deployment at a time: while a second one starts, Elasticsearch is late, and records that a swapped worker leaves in its
# spool count as missing.
# PROGRAMS=debug uses the programs of the other tests and saves a build of some minutes. SKIP_COMPOSE=1 skips this if no container engine can run.
test-compose: toolchain ## the deployment of docker-compose.yml in containers, with RabbitMQ 3.10, 4.0 and 4.3
ifdef SKIP_COMPOSE
	@echo "SKIPPED: make test-compose, because of SKIP_COMPOSE; the compose deployment is not tested"
else
	scripts/setup
	$(if $(filter release,$(PROGRAMS)),$(CARGO) build --release -p acl-service -p public-api -p worker,$(if $(TEST_BINARIES),,$(CARGO) test --workspace --no-run))
	PROGRAMS=$(PROGRAMS) scripts/setup-compose
	$(call test-binary,compose) --nocapture --test-threads=1
endif

# Every program whose documentation has a place of its own, so none that is called as its library is. With --examples cargo takes
# the features of the tests, with which clippy has checked the dependencies.
DOCUMENTED = --bin 'compat-*' --bin demo-worker --bin 'test-*'

lint: toolchain ## format, clippy and rustdoc, without changing anything
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy -p standalone --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --lib $(DOCUMENTED) --examples

fmt: toolchain ## format all Rust sources
	$(CARGO) fmt --all

# Not part of `make lint`: building cargo-deny takes minutes, and it fetches the list of advisories.
deny: toolchain ## licences, versions, advisories and sources of all dependencies, against deny.toml; needs cargo-deny
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo "make deny: cargo-deny is not installed; install it with \`cargo install --locked cargo-deny\`." >&2; exit 1; }
	$(CARGO) deny --workspace --locked check

fuzz: ## every fuzz target for FUZZ_SECONDS; docs/FUZZING.md lists what it needs
	fuzz/seed
	for target in message typed_json iso8601 callback_url; do \
		$(CARGO) +nightly fuzz run --fuzz-dir fuzz $$target -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 -dict=fuzz/dictionaries/$$target.dict || exit 1; \
	done
