# Every command of the project. `make run` and `make demo` need Rust and a C compiler; `make test` sets up the rest.

CARGO ?= cargo

.PHONY: run demo setup test lint fmt

run: ## the three services in one process, on one SQLite file
	$(CARGO) run --release -p standalone

demo: ## one allowed, one refused and one invalid request, shown end to end
	$(CARGO) run --release -p standalone -- demo

setup: ## RabbitMQ, Redis and Python with Celery, for the tests
	scripts/setup

test: setup
	$(CARGO) test --workspace

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

fmt:
	$(CARGO) fmt --all
