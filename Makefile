# Two commands matter: make demo, make test. Both do all of their own set-up, and nothing twice.
PYTHON ?= python3
export PYTHON
NEXTFLOW = .engine/nextflow

.PHONY: help docs docs-setup demo paper-size test test-fast test-all lint bench lists setup lock images image-test offline-bundle clean check-method demo-methods

help:            ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

setup:           ## .venv from the locked requirements, and the engine
	@tools/setup.sh

demo: setup      ## simulate the demo data set, run the whole benchmark on it, say where the report is
	@tools/demo.sh

demo-methods: setup ## the same with harmonization methods and controls, on radiomics
	@tools/demo.sh demo_methods

# ARGS: other parameters, as in make paper-size ARGS='--twin_scanners A1,C1'
paper-size: setup ## the same at the paper's size: 528 series of the twin, about an hour and 30 GB of disk
	@tools/paper_size.sh $(ARGS)

# tests of a file stay in one process; 0 processes for a debugger
TEST_PROCESSES ?= 2
PYTEST = .venv/bin/python -m pytest -n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder

docs-setup: setup ## .docs: what builds the documentation and reads results back in tests
	@tools/setup_docs.sh

docs: docs-setup ## the documentation as a site that opens from its folder, into results/docs
	@.venv/bin/python tools/build_docs.py

test: setup docs-setup lint ## every test but those for a release
	@$(PYTEST) $(PYTEST_ARGS)

test-fast: setup lint ## what an edit needs: unit tests
	@$(PYTEST) tests/unit $(PYTEST_ARGS)

test-all: setup docs-setup lint ## every test, those for a release too
	@$(PYTEST) --slow $(PYTEST_ARGS)

lint: setup      ## ruff and nextflow lint
	@.venv/bin/ruff check -q bin command ct4bench methods tests tools containers && .venv/bin/ruff format -q --check bin command ct4bench methods tests tools containers
	@$(NEXTFLOW) lint main.nf nextflow.config conf modules subworkflows workflows

bench: setup     ## ratios of time and differences of value to the reference libraries, into results/bench.json
	@.venv/bin/python -m pytest tests/benchmarks -q -s -o pythonpath='bin tests tests/benchmarks' -o python_files='bench_*.py' -o python_functions='bench_*'

check-method: setup ## conformance of a harmonization method: make check-method METHOD=<folder>
	@.venv/bin/python tools/check_method.py $(METHOD)

lists: setup     ## docs, parameter schema and numbers of modules anew from the lists in the source
	@.venv/bin/python tools/write_lists.py && .venv/bin/python tools/closures.py --write

lock: setup      ## resolve the requirements anew, with hashes and without index addresses
	@for name in uv engine compiler test; do .venv/bin/uv pip compile -q --upgrade --universal --generate-hashes --python-version 3.11 \
	    --custom-compile-command "make lock" requirements/$$name.in -o requirements/$$name.lock; done
	@.venv/bin/uv pip compile -q --upgrade --universal --generate-hashes --python-version 3.11 --no-emit-package numpy \
	    --no-emit-package pandas --no-emit-package pandas-stubs --custom-compile-command "make lock" requirements/docs.in -o requirements/docs.lock
	@for pair in imaging:imaging deep:run; do .venv/bin/uv pip compile -q --generate-hashes --python-version 3.11 --python-platform x86_64-unknown-linux-gnu \
	    --custom-compile-command "make lock" -c requirements/test.lock requirements/$${pair#*:}.in -o containers/$${pair%:*}/requirements.lock; done

images:          ## container images with Docker or Podman, SIF files with Apptainer
	@tools/images.sh build

image-test:      ## smoke test of the images in every engine that has them
	@tools/images.sh test

offline-bundle: setup ## code, engine and images in one archive for a machine without a network
	@tools/offline_bundle.sh

clean:           ## take away all that make made (results included)
	rm -rf .venv .docs .engine .images results .nextflow .nextflow.log* work .pytest_cache .ruff_cache .numba .mpl
	find bin command tests -name __pycache__ -type d -prune -exec rm -rf {} +
