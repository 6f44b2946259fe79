# `make demo` and `make test` do their own set-up; the second run of either does none.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-all lint bench clean constraints

demo: $(READY)
	$(BIN)/unroll demo

# Workers and the hundreds of processes that tests start share the bytecode of ours, whatever the environment says.
# Three workers on two cores: one that waits for a process or a socket leaves its core to another.
test: $(READY)
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow"

test-all: $(READY)
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The sample reviews, and the model that `make demo` left in the workspace.
bench: $(READY)
	@test -d workspace/store/movie_reviews || { echo "error: workspace/store/movie_reviews: no model to measure. Run make demo first" >&2; exit 2; }
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/serving.py --saved_model "$$(ls -d workspace/store/movie_reviews/* | sort -V | tail -1)"

# uv installs in seconds what takes pip minutes. Bytecode is compiled here, once, whatever the environment
# says, since importing TensorFlow and MLflow from source takes half a minute every time.
$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed. Install Python 3.11 or name another: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev,samples]'
	@touch $@

# Resolves anew and pins what was found.
constraints:
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[dev,samples]'
	$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable > constraints.txt

clean:
	rm -rf $(VENV) workspace
