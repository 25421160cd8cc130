# Everyday commands; they use the environment in .venv.

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")

# The tests that run everywhere, under five minutes on two cores
test *ARGS:
    pytest {{ARGS}}

# The tests that take long
slow *ARGS:
    pytest -m slow --timeout 3600 {{ARGS}}

lint:
    ruff check .
    ruff format --check .
    mypy
    lint-imports

fix:
    ruff check --fix .
    ruff format .

# Every number in the README
bench:
    python benchmarks/reference_drift.py
    python benchmarks/main_job.py
    python benchmarks/set_accuracy.py

# Train the shipped weights of SET again
train:
    nbody-sim train plugins/nbody_set/recipes/set.toml --output runs/train-set

# What the continuous integration runs
ci:
    .ci/run
