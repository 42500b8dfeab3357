# Everything goes through here: `make run` and `make test` do all set-up.
#
# One profile and one target directory: every command below that builds for this
# machine selects the same packages, so that nothing is built twice.

# ARGS reaches the program that run, demo and bench start: `make demo ARGS=--json`.
CARGO ?= cargo
EDDYLINE = target/debug/eddyline
LIBRARY = -p json-schema -p redaction -p moderation -p enrichment -p fan-out \
	-p rate-limit -p deduplication -p window -p last-writer -p text-sequencer
FUNCTIONS = -p document-gate -p document-stats -p probe -p first -p single $(LIBRARY) --target wasm32-wasip2 --release

.PHONY: run demo test fault simulate fuzz bench lint functions build prerequisites fetch tools clean

run: build fetch ## the whole stack on this machine
	$(EDDYLINE) dev --with-parent $(ARGS)

demo: build fetch ## two editors, one document, three equal texts
	$(EDDYLINE) demo $(ARGS)

test: build fetch tools ## every test, the end-to-end ones on real servers included
	$(CARGO) test --workspace --no-fail-fast
	@# Alone, with no features but its own: beside others it would have theirs as well.
	$(CARGO) build -p protocol --target wasm32-wasip2

fault: build fetch ## every fault test, those included that take minutes
	$(CARGO) test --workspace --no-fail-fast --test faults --test faults_long -- --test-threads=2

simulate: build ## seeds for as long as asked, or one schedule: ARGS="--for 10m --seed 7"
	target/debug/simulate $(ARGS)

fuzz: build ## broken input for as long as asked: ARGS="commands-json --for 10m --seed 7"
	target/debug/fuzz $(ARGS)

bench: fetch ## one table: each figure beside a bare yardstick of the same run
	$(CARGO) build --profile optimised --bins
	target/optimised/bench $(ARGS)

lint: prerequisites
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --test faults_long -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

functions: prerequisites
	$(CARGO) build $(FUNCTIONS)

build: functions target/terraformrc
	$(CARGO) build --workspace --bins --examples

# Lets Terraform find the provider that is built here, without `terraform init`.
target/terraformrc: Makefile
	@mkdir -p target
	@printf 'provider_installation {\n  dev_overrides {\n    "eddyline/eddyline" = "%s"\n  }\n  direct {}\n}\n' \
		'$(CURDIR)/target/debug' >$@

fetch: build
	target/debug/devstack fetch

tools: prerequisites ## what builds functions in JavaScript, TypeScript, Python and C
	functions/tools.sh

prerequisites:
	@infra/prerequisites.sh
	@if command -v rustup >/dev/null 2>&1; then \
		rustup show active-toolchain >/dev/null 2>&1 || rustup toolchain install; \
		rustup --quiet target add wasm32-wasip2; \
		rustup --quiet component add clippy rustfmt; \
	fi

clean:
	$(CARGO) clean
