# `make help` lists the targets. Each makes what it needs, beginning with the environment in .venv.

PYTHON ?= python3
PORT ?= 8000
ONLY ?=
SAMPLE ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
INDEX := _build/html/index.html
VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
SLUGS := $(sort $(patsubst src/tutorlib/papers/%/__init__.py,%,$(wildcard src/tutorlib/papers/*/__init__.py)))

.DEFAULT_GOAL := help
.PHONY: help book pdf serve notebooks test check colab refresh links dist lint browser mutants slug torture gpu clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("make: $(PYTHON) is Python %d.%d, expected 3.11 or newer; say which one to take: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[book,test,cluster,control]'
	@touch $@

book: $(READY) ## build the site from the stored notebooks, warnings being errors
	@# A page that is not read again gives no warning again: after a failure, or a kill, everything is read again.
	$(BIN)/python book/make.py $(BIN)/jupyter-book build . --config _config.yml --toc book/_toc.yml -W -n --keep-going
	@test -f $(INDEX)
	@echo
	@echo "The book: file://$(CURDIR)/$(INDEX)"
	@echo "make serve shows it at http://127.0.0.1:$(PORT)/"

$(INDEX):
	@$(MAKE) --no-print-directory book

pdf: book ## print the whole book into one PDF beside the built pages (needs Chromium)
	$(BIN)/python book/pdf.py

serve: $(INDEX) ## show the built site on this machine (PORT=8000)
	@echo "The book: http://127.0.0.1:$(PORT)/ (stop with Ctrl-C)"
	@$(PYTHON) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

notebooks: $(READY) ## execute the notebooks and store their outputs (ONLY=gpicl or ONLY=gpicl/method)
	$(BIN)/python notebooks/make.py $(ONLY)

lint: $(READY) ## style, types, the direction of imports, and the workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	@# The workflows: their form, and what they may do. (The package of actionlint has no program in it: it fetches one.)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .github/workflows

test: browser lint book ## everything that CI runs
	@# Two processes with as many threads each as there are cores wait for each other, up to 8 times as long.
	OMP_NUM_THREADS=1 TUTORLIB_SITE=_build/html $(BIN)/pytest -m "not serial" -n 2 --dist loadscope --durations=25 \
		--cov --cov-report=
	$(BIN)/pytest -m serial --durations=25 --cov --cov-append --cov-fail-under=90

check: slug browser lint book ## lint, types, and the tests, notebooks and pages of one chapter (ONLY=gpicl)
	OMP_NUM_THREADS=1 TUTORLIB_SITE=_build/html $(BIN)/pytest -m "not serial" -n 2 --dist loadscope -k $(ONLY) \
		tests/papers tests/book
	$(BIN)/python notebooks/make.py --verify $(ONLY)

colab: $(READY) ## run all notebooks with the versions of a Colab runtime (part of make test, too)
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/book/test_colab.py

refresh: $(READY) ## take the versions of Colab's published list into tests/book/colab.txt
	$(BIN)/python tests/book/colab.py --refresh

links: $(READY) $(INDEX) ## ask for every outside link of the built book (not in CI)
	$(BIN)/python book/links.py

dist: $(READY) ## the archive of the source and the wheel, in dist (TAG=v0.1.0 must name the version)
	@test "$${TAG:-v$(VERSION)}" = "v$(VERSION)" || { \
	echo "make: TAG=$$TAG: expected v$(VERSION), from the version in pyproject.toml" >&2; exit 1; }
	rm -rf dist
	$(BIN)/uv build --build-constraints constraints.txt --out-dir dist

mutants: $(READY) ## which small changes of a package its tests miss (ONLY=rl, ONLY=lab SAMPLE=100; not in CI)
	$(BIN)/python -m pip install -q -c constraints.txt cosmic-ray
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/mutants.py $(or $(ONLY),"") $(if $(SAMPLE),--sample $(SAMPLE))

torture: $(READY) ## kill, starve and crowd the sweeps for 20 minutes, against undisturbed runs (not in CI)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/torture.py

gpu: $(READY) ## tests, benchmarks and studies on a CUDA device, within 10 minutes (not in CI)
	$(BIN)/python benchmarks/gpu.py

slug:
	@test "$(words $(ONLY))" = 1 -a "$(filter $(SLUGS),$(ONLY))" = "$(ONLY)" || { \
	echo "make: ONLY=$(ONLY): expected one of $(SLUGS)" >&2; exit 1; }

browser:
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { \
	echo "make: the tests of the built pages need Chromium, and there is none: install it, or let .ci/run do so" >&2; exit 1; }

clean: ## remove what was built and cached (not .venv)
	rm -rf _build dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests notebooks book -name __pycache__ -prune -exec rm -rf {} +
