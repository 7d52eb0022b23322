# A menu. `make dev` and `make test` each do all the set-up that they need on a machine with Rust, a C compiler and Python.
CARGO_LAMBDA := 1.9.2
CARGO_DENY := 0.20.2
ZIG := 0.17.1
STAGE := dev
# Ed25519 for the clients in tests/clients/, which use Python's standard library for all else.
CRYPTOGRAPHY := 50.0.2
TOOLS := .tools
PUBLISHED := $(TOOLS)/published
# By binary, not by package: cargo then unifies features over the workspace, as `cargo lambda watch` does, and builds once.
RONDO := cargo run --quiet --locked --bin rondo --
# What the published clients of each product are installed as.
PUBLISHED_uniqos := $(addprefix $(PUBLISHED)/,venv/installed uniqos/installed)
PUBLISHED_dreadnode := $(addprefix $(PUBLISHED)/,venv/installed dreadnode-cli/installed dreadnode-1/installed dreadnode-2/installed)
PUBLISHED_elastic := $(PUBLISHED)/elastic
PUBLISHED_replyke := $(PUBLISHED)/replyke/core.mjs

.PHONY: dev test test-api test-clients test-published test-deploy deploy demo model budget policies test-stores chaos load fuzz-short fuzz lint deny clean help

help:           ## this menu
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

dev: $(TOOLS)/bin/cargo-lambda ## the local stack: DynamoDB, the functions, a demo session, curl commands (ARGS=--grace-secs=3)
	@cargo build --locked --bin rondo
	@$(RONDO) dev $(ARGS)

demo:           ## plays a refresh, two tabs, a lost response and a theft against the running stack
	@$(RONDO) demo $(ARGS)

test: $(TOOLS)/bin/cargo-lambda ## every test, the end-to-end one included
	cargo test --locked --workspace
	$(RONDO) smoke

test-deploy: $(TOOLS)/bin/cargo-lambda $(TOOLS)/sam/bin/sam $(TOOLS)/emulator/bin/ministack ## sam build and deploy to an emulated AWS, stories, update, deletion
	$(TOOLS)/sam/bin/python tests/deployment/deploy.py

deploy: $(TOOLS)/bin/cargo-lambda $(TOOLS)/bin/python-zig $(TOOLS)/sam/bin/sam ## builds for arm64 and deploys to AWS: STAGE=dev, STAGE=prod
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" $(TOOLS)/sam/bin/sam build --config-env $(STAGE)
	$(TOOLS)/sam/bin/sam deploy --config-env $(STAGE)

policies: $(TOOLS)/sam/bin/sam ## writes infra/policies.md: what each function may do
	$(TOOLS)/sam/bin/python tests/deployment/policies.py

test-api: $(TOOLS)/bin/schemathesis ## the OpenAPI documents against the local stack, under a minute once compiled (ARGS=--examples=1000: ten)
	$(TOOLS)/bin/python infra/openapi/test.py $(ARGS)

test-clients: $(TOOLS)/cryptography-$(CRYPTOGRAPHY) ## a client of each product against the local stack, under two minutes once compiled (ARGS=replyke: one)
	$(TOOLS)/bin/python tests/clients/run.py $(ARGS)

test-published: $(foreach product,$(or $(ARGS),uniqos dreadnode elastic replyke),$(PUBLISHED_$(product))) ## the products' published clients against the local stack, under two minutes once compiled (Go, Node; ARGS=replyke: one product's)
	python3 tests/published/run.py $(ARGS)

model:          ## explores the protocol's states and shows what each mutation breaks
	cargo test --locked --package rondo-tests --test model --test model_bucket -- --nocapture --test-threads 2

budget:         ## prints what each outcome costs
	cargo test --locked --quiet --package rondo-tests --test budget -- --nocapture

test-stores: $(TOOLS)/ministack/bin/ministack $(TOOLS)/dynamodb-local ## the store contract on ministack and Amazon's DynamoDB Local too (Java 17, Maven)
	@python3 tests/stores/run.py cargo test --locked --package rondo-tests --test store_contract --features other-stores

chaos:          ## 10,000 random schedules of clients and faults against the functions (ARGS="seed=7 count=100")
	CHAOS="seed=1 count=10000 $(ARGS)" cargo test --locked --package rondo-tests --test chaos -- --nocapture --test-threads 1

load:           ## thousands of sessions while functions and store are killed and paused (ARGS="--secs=60 --sessions=500")
	@cargo run --quiet --locked --bin load -- $(ARGS)

fuzz-short:     ## fuzzes all that is read from outside, eight seconds each (needs a C++ compiler)
	SEED=1 tests/fuzz/run.sh 8

fuzz:           ## the same for longer: ARGS="1800 uniqos token", seconds and targets; ARGS=keep minimises what was found
	tests/fuzz/run.sh $(or $(ARGS),1800)

lint:           ## format and clippy, warnings denied
	cargo fmt --all -- --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

deny: $(TOOLS)/bin/cargo-deny ## licences, sources and bans of every dependency
	$(TOOLS)/bin/cargo-deny --locked check bans licenses sources

clean:          ## the local stack's data and the pinned tools
	rm -rf .rondo $(TOOLS)

$(TOOLS)/bin/cargo-lambda:
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check cargo-lambda==$(CARGO_LAMBDA)

# The cross-compiler: cargo-lambda finds it beside itself.
$(TOOLS)/bin/python-zig: | $(TOOLS)/bin/cargo-lambda
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check ziglang==$(ZIG)

$(TOOLS)/sam/bin/sam: tests/deployment/requirements-sam.txt
	python3 -m venv $(TOOLS)/sam
	$(TOOLS)/sam/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

$(TOOLS)/emulator/bin/ministack: tests/deployment/requirements-emulator.txt
	python3 -m venv $(TOOLS)/emulator
	$(TOOLS)/emulator/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

$(TOOLS)/bin/schemathesis: infra/openapi/requirements.txt | $(TOOLS)/bin/cargo-lambda
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

$(TOOLS)/cryptography-$(CRYPTOGRAPHY): | $(TOOLS)/bin/cargo-lambda
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check cryptography==$(CRYPTOGRAPHY)
	@touch $@

# The published clients, each in a folder of its own, without what they depend on: gigabytes, which what is driven of them does
# not import. What it does import is in the one environment.
$(PUBLISHED)/venv/installed: tests/published/requirements-venv.txt | $(TOOLS)/bin/cargo-lambda
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

$(PUBLISHED)/%/installed: tests/published/requirements-%.txt | $(PUBLISHED)/venv/installed
	$(PUBLISHED)/venv/bin/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(@D) --requirement $<
	touch $@

$(PUBLISHED)/elastic: $(wildcard tests/published/elastic/*) | $(TOOLS)/bin/cargo-lambda
	cd tests/published/elastic && go build -mod=readonly -o $(abspath $@)

$(PUBLISHED)/replyke/core.mjs: $(addprefix tests/published/replyke/,package.json package-lock.json core.js) | $(TOOLS)/bin/cargo-lambda
	mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --silent --ignore-scripts --no-audit --no-fund
	cd $(@D) && npm run --silent bundle
	touch $@

$(TOOLS)/ministack/bin/ministack: tests/stores/requirements.txt
	python3 -m venv $(TOOLS)/ministack
	$(TOOLS)/ministack/bin/pip install --quiet --disable-pip-version-check --requirement $<

$(TOOLS)/dynamodb-local: tests/stores/pom.xml tests/stores/sha256
	mvn --quiet --batch-mode --strict-checksums --file $< org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(abspath $@)
	cd $@ && sha256sum --quiet --check $(abspath tests/stores/sha256)
	touch $@

$(TOOLS)/bin/cargo-deny:
	cargo install --quiet --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY)
