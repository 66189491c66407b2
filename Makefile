# make book: build and read the course.  make test: everything that CI checks.  Both make the environment first.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: setup book serve test lab lint bench gpu clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "The course needs Python 3.11 or newer, but $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.12 $(MAKECMDGOALS), for example.")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --constraint constraints.txt --editable '.[book,test,lint]'
	@touch $(INSTALLED)

book: setup
	$(BIN)/python book/build.py

serve:
	@test -f _build/html/index.html || { echo "There is no book yet: run make book first."; exit 1; }
	@echo "Read the course at http://localhost:$(PORT) (Ctrl+C stops)"
	@$(PYTHON) -m http.server $(PORT) --bind localhost --directory _build/html

lab: setup
	$(BIN)/jupyter lab --notebook-dir=book

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint book
	OMP_NUM_THREADS=1 COURSE_EFFORT=quick $(BIN)/pytest --nbval-lax --numprocesses auto --dist loadfile

bench: book .venv-peers/.installed .venv-careamics/.installed .venv-segmentation/.installed
	$(BIN)/python -m benchmarks.live_latency
	$(BIN)/python -m benchmarks.camera --peers .venv-peers/bin/python
	$(BIN)/python -m benchmarks.psf --peers .venv-peers/bin/python
	$(BIN)/python -m benchmarks.acquisition --peers .venv-peers/bin/python
	$(BIN)/python -m benchmarks.deconvolution --peers .venv-peers/bin/python
	$(BIN)/python -m benchmarks.deconvolution_quality --peers .venv-peers/bin/python
	$(BIN)/python -m benchmarks.networks --peers .venv-careamics/bin/python
	$(BIN)/python -m benchmarks.networks_quality --peers .venv-careamics/bin/python
	$(BIN)/python -m benchmarks.noise2void_quality --peers .venv-careamics/bin/python
	$(BIN)/python -m benchmarks.denoise --peers .venv-peers/bin/python
	$(BIN)/python -m benchmarks.denoise_time
	$(BIN)/python -m benchmarks.care_3d
	$(BIN)/python -m benchmarks.noise2void_3d
	$(BIN)/python -m benchmarks.label_matching --peers .venv-segmentation/bin/python
	$(BIN)/python -m benchmarks.features_table
	$(BIN)/python -m benchmarks.segmentation_speed --peers .venv-segmentation/bin/python --training
	@test -n "$$COURSE_DATA" || echo "segmentation_quality and segmentation_representations are left out: set COURSE_DATA to the folder that holds dsb2018_fluorescence."
	test -z "$$COURSE_DATA" || $(BIN)/python -m benchmarks.segmentation_quality --peers .venv-segmentation/bin/python
	test -z "$$COURSE_DATA" || $(BIN)/python -m benchmarks.segmentation_representations

.venv-peers/.installed: benchmarks/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --requirement benchmarks/peers/requirements.txt
	@touch .venv-peers/.installed

.venv-careamics/.installed: benchmarks/peers/requirements-careamics.txt
	$(PYTHON) -m venv .venv-careamics
	.venv-careamics/bin/pip install --upgrade pip
	.venv-careamics/bin/pip install --requirement benchmarks/peers/requirements-careamics.txt
	@touch .venv-careamics/.installed

.venv-segmentation/.installed: benchmarks/peers/requirements-segmentation.txt
	$(PYTHON) -m venv .venv-segmentation
	.venv-segmentation/bin/pip install --upgrade pip
	.venv-segmentation/bin/pip install --requirement benchmarks/peers/requirements-segmentation.txt
	@touch .venv-segmentation/.installed

gpu: setup
	$(BIN)/pytest -m gpu

clean:
	rm -rf _build book/_generated dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
