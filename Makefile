# One-liners over Python commands; on Windows run what stands after the target with .venv\Scripts\python.exe.
PY := .venv/bin/python
SETUP := python3 -m scripts.setup

.DEFAULT_GOAL := help
.PHONY: help setup demo learn share pull test test-screen test-gpu test-cluster check record-setup doctor dag bench clean

help: ## this list
	@python3 -c "import re; [print(f'make {m[1]:<12} {m[2]}') for m in re.finditer(r'^([\w-]+):.*?## (.*)', open('Makefile').read(), re.M)]"

setup: ## make or update .venv from the pinned files in envs/
	@$(SETUP)

demo: setup ## scenario Markdown to a quantised model that answers, in minutes
	@$(PY) -m snakemake --quiet rules host && $(PY) -m scripts.summary

learn: setup ## the preset that proves learning: at most an hour a system on 2 cores
	@$(PY) -m snakemake --quiet rules host --configfile config/learn.yaml && $(PY) -m scripts.summary --configfile config/learn.yaml

share: setup ## what was built, with its records, to the remote (make share ARGS="dnd --configfile config/learn.yaml")
	@$(PY) -m scripts.share $(ARGS)

pull: setup ## what was shared in this revision; then snakemake has nothing to do
	@$(PY) -m scripts.pull $(ARGS)

test: setup ## all tests, two files at a time
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-screen: setup ## the recorder under a virtual display (after make record-setup)
	@$(PY) -m pytest -m screen -rs tests/test_gameplay_record_screen.py tests/test_gameplay_play_screen.py

test-gpu: setup ## training on a CUDA GPU (after pip install -r envs/gpu.txt for all of it)
	@$(PY) -m pytest -m gpu -rs

test-cluster: setup ## the workflow on a real Slurm of this machine alone (installs it first, on Debian as root)
	@$(PY) tests/cluster/prepare.py && $(PY) -m pytest -rs tests/cluster

check: setup ## ruff, snakefmt, snakemake --lint
	@$(PY) -m scripts.checks

record-setup: setup ## what recording play needs, and the virtual display that its tests use
	@$(PY) -m scripts.gameplay.record_setup

doctor: setup ## what is there, what is missing, what to type next
	@$(PY) -m scripts.doctor

dag: setup ## the graph of rules as reports/dag.svg
	@$(PY) -m scripts.dag

bench: setup ## speed and memory against peers, as ratios
	@$(PY) -m benchmarks

clean: ## remove what the workflow made; data/raw and .venv stay
	@python3 -m scripts.clean
