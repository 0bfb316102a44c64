# Two commands do all the set-up: `make demo` and `make test`. `make help` lists the others.

PY := .venv/bin/python
TESTED := .venv/test.done
WORKERS ?= auto
export CHROMIUM
BROWSERS := CHROMIUM_SHELL=$$(scripts/chromium shell) && CHROMIUM=$$(scripts/chromium) && export CHROMIUM_SHELL CHROMIUM

help: ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: .venv/demo.done ## start a server with live documents made from real data, and print its link
	.venv/bin/bokeh-server demo

test: $(TESTED) ## the whole suite, Chromium and proxies included
	$(BROWSERS) && scripts/proxies && $(PY) -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

lint: $(TESTED) ## ruff
	$(PY) -m ruff check .

types: $(TESTED) ## mypy, strict, source and tests
	$(PY) -m mypy

contracts: $(TESTED) ## who may import whom (import-linter)
	.venv/bin/lint-imports --no-logo

shape: $(TESTED) ## sizes of files and functions, broad excepts, tests : source
	$(PY) scripts/shape

coverage: $(TESTED) ## every file of core/ and accounts/: 100 % of its branches by its own test file
	$(PY) scripts/core_coverage

docs: $(TESTED) ## the tests that hold the docs against the code
	$(PY) -m pytest tests/test_docs.py

fuzz: $(TESTED) ## the differential and model tests, long: 200,000 patches; 1,000,000 inputs of each guided target
	$(BROWSERS) && HYPOTHESIS_PROFILE=long FUZZ_RUNS=1000000 $(PY) -m pytest -n $(WORKERS) tests/model tests/test_fuzz.py --timeout 0

requests: $(TESTED) ## the whole REST interface, 20,000 requests as each kind of actor (schemathesis)
	HYPOTHESIS_PROFILE=long $(PY) -m pytest -n $(WORKERS) tests/web/test_schemathesis.py --timeout 0

hosts: $(TESTED) ## what goes through HTTP and sockets, once more within Flask: on its own server and on gunicorn
	HOSTS=all $(PY) -m pytest -n $(WORKERS) --dist worksteal tests/hosts
	for host in werkzeug gunicorn; do SERVED_BY=$$host $(PY) -m pytest -n $(WORKERS) --dist worksteal \
	  tests/web tests/adapters/test_websocket.py --ignore tests/web/test_schemathesis.py || exit 1; done

conformance: $(TESTED) ## Autobahn's 517 websocket cases against each adapter
	CONFORMANCE=all $(PY) -m pytest tests/conformance --timeout 0

crash: $(TESTED) ## kill -9 of the real server under load, 1,000 times, and power cuts of its database
	CRASH_CYCLES=1000 POWER_CUTS=2000 KILLS=300 $(PY) -m pytest --timeout 0 \
	  tests/crash tests/store/test_power_cut.py tests/store/test_kill.py

load: $(TESTED) ## 1,000 stalled viewers, 5,000 idle ones, a million points a second, a page for five minutes
	$(BROWSERS) && LOAD=all $(PY) -m pytest --timeout 0 \
	  tests/load/test_stalls.py tests/load/test_idle.py tests/load/test_flood.py tests/load/test_page.py

soak: $(TESTED) ## four hours of a steady stream with viewers that come and go (SOAK_MINUTES=240): nothing grows
	SOAK_MINUTES=$${SOAK_MINUTES:-240} $(PY) -m pytest --timeout 0 tests/load/test_soak.py

chaos: $(TESTED) ## 500 cuts of program and viewers on a bad network, pages of a real browser among them
	$(BROWSERS) && LOAD=all CHAOS_CUTS=$${CHAOS_CUTS:-500} $(PY) -m pytest --timeout 0 \
	  tests/load/test_proxy.py tests/load/test_chaos.py

isolation: $(TESTED) ## every hostile document and the gallery of ordinary ones, in Chromium
	$(BROWSERS) && ISOLATION=all $(PY) -m pytest -n $(WORKERS) --dist worksteal \
	  tests/isolation

bench: $(TESTED) .venv-peers ## the targets of docs/performance.md, side by side with bokeh's own server, and visdom
	$(PY) -m bench

pictures: $(TESTED) ## the pictures of README and docs, from the real pages
	CHROMIUM=$$(scripts/chromium) $(PY) scripts/pictures

clean: ## forget .venv and all caches
	rm -rf .venv .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .schemathesis .coverage* build dist

.venv-peers: | $(TESTED)
	scripts/peers

.venv/%.done: pyproject.toml scripts/setup
	scripts/setup $*

.PHONY: help demo test lint types contracts shape coverage docs fuzz requests hosts conformance crash load soak chaos \
  isolation bench pictures clean
