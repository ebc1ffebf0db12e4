# The two commands: `make run` and `make test`. Both set up what is missing first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the nets run on: cpu, or gpu for NVIDIA's (`make RUNTIME=gpu run`). Another one wants `make clean` first.
RUNTIME ?= cpu
STAMP := $(VENV)/.installed

.PHONY: run test lint bench chaos setup clean

run: setup
	@exec $(BIN)/onlooker up

# All that a fresh machine can run, where hardly anything may be skipped; then, where they are beside this
# checkout, what is tried on originals that cannot be published.
test: lint
	$(BIN)/pytest --originals none --most-skips 20
	@test ! -d ../shared/data || $(BIN)/pytest --originals only --most-skips 20

lint: setup
	$(BIN)/ruff format --check app tests benchmarks
	$(BIN)/ruff check app tests benchmarks
	$(BIN)/mypy

bench: setup
	@$(BIN)/python benchmarks/run.py

# Three quarters of an hour of killing, pausing and starving workers and Kafka; the table goes to var/chaos.json.
chaos: setup
	$(BIN)/pytest tests/chaos --full

setup: $(STAMP)

$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Onlooker needs Python 3.11 or later: make PYTHON=python3.11"; exit 2; }
	@echo "setting up $(VENV) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check -e '.[$(RUNTIME),dev]'
	@# opencv-python draws windows, for which it wants the system's OpenGL; without that, the same
	@# version without windows takes its place.
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { \
		version=$$($(BIN)/python -m pip show opencv-python | sed -n 's/^Version: //p'); \
		$(BIN)/python -m pip uninstall -q -y opencv-python; \
		$(BIN)/python -m pip install --disable-pip-version-check -q opencv-python-headless==$$version; }
	@$(BIN)/onlooker models pull centerface faceplugin-512 demo-portraits demo-groups
	@$(BIN)/onlooker broker --fetch
	@touch $@

clean:
	rm -rf $(VENV)
