# One tool (uv) does the rest. If it is not on the machine, pip fetches it into .tools.
UV_VERSION := 0.13.8
UV := $(or $(shell command -v uv),.tools/bin/uv)
RUN := .venv/bin/
MEMBERS := protocols edge headend billing portal-api firmware-sims

# A member is one portion of the namespace, so deptry is blind between members: the isolated
# installs (make gates) prove those. aiosqlite and tzdata are used by name only, never imported.
DEPTRY := --known-first-party quince \
	--per-rule-ignores "DEP002=quince-protocols|quince-headend|quince-billing|aiosqlite|tzdata"

.DEFAULT_GOAL := help
.PHONY: help setup lock demo test days check gates nightly fuzz fix proto mosquitto bench wheels clean

help: ## Show the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[36m%-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.tools/bin/uv:
	python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .tools uv==$(UV_VERSION)

setup: .venv/.installed ## Create .venv with every package and tool, as locked

.venv/.installed: requirements.lock pyproject.toml $(MEMBERS:%=%/pyproject.toml) | $(UV)
	@$(UV) venv --quiet --allow-existing .venv
	@$(UV) pip sync --quiet --require-hashes requirements.lock
	@$(UV) pip install --quiet --no-deps $(MEMBERS:%=-e ./%)
	@touch $@

lock: | $(UV) ## Choose every version anew, and write them down with their hashes
	@$(UV) lock --quiet --upgrade
	@$(UV) export --quiet --format requirements-txt --all-groups --no-emit-workspace --no-header --no-annotate --output-file requirements.lock >/dev/null

demo: setup ## Two days from the meters' bytes to a bill, in about a minute
	@$(RUN)python -m demo.run

test: setup ## Run the tests, the main job included
	@$(RUN)coverage erase
	@$(RUN)coverage run -m pytest -m "not gates" --benchmark-skip
	@$(RUN)coverage combine --quiet
	@$(RUN)coverage report

days: setup ## Live through DAYS bad gateway-days in virtual time (500: some five minutes)
	@PYTHONHASHSEED=0 $(RUN)python -m tests.simulation.run --days $(or $(DAYS),500) --jobs 2

check: setup ## Format, lint, types, architecture, declared dependencies
	$(RUN)ruff format --check
	$(RUN)ruff check
	$(RUN)mypy
	$(RUN)lint-imports
	@for m in $(MEMBERS); do echo "deptry $$m"; (cd $$m && ../.venv/bin/deptry src $(DEPTRY)) || exit 1; done

gates: setup | $(UV) ## Plant a defect per member and demand red; install each member alone
	@$(RUN)pytest -m gates

nightly: setup ## What takes longer than a coffee: the long kill loop, simulated days, a minute of nonsense each
	@$(RUN)python -m tests.e2e.kill_loop
	@$(MAKE) --no-print-directory days DAYS=5000
	@$(MAKE) --no-print-directory fuzz SECONDS=60

fuzz: setup ## Feed every decoder nonsense, SECONDS each (600: all of them take half a day)
	$(RUN)python tests/fuzz/run.py --seconds $(or $(SECONDS),600) --jobs 2 \
		$(if $(wildcard ../shared/data/protocols),--seeds ../shared/data/protocols) $(DECODERS)

fix: setup ## Format, and fix what can be fixed
	$(RUN)ruff format
	$(RUN)ruff check --fix

proto: setup ## Compile the gateway contract again
	$(RUN)python -m grpc_tools.protoc -Iprotocols/src --python_out=protocols/src --pyi_out=protocols/src \
		protocols/src/quince/protocols/gateway/*.proto

mosquitto: ## Install the broker the tests like best (Debian, as root)
	@command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || \
		{ apt-get update -qq && apt-get install -y -qq mosquitto; } || \
		echo "mosquitto cannot be installed here: its tests are skipped, the demo uses the embedded broker"

bench: setup ## Time the hot paths
	$(RUN)pytest tests --benchmark-only -r f --benchmark-columns=median,iqr,rounds

wheels: setup ## Build a wheel of every package into dist/
	$(UV) build --all-packages --wheel

clean: ## Remove everything that was built
	rm -rf .venv .tools .demo dist
