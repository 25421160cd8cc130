# Everyday commands; they use the environment in .venv.

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")

# The tests that run everywhere, five to six minutes on two cores where nothing is compiled yet
test *ARGS:
    pytest -n 2 {{ARGS}}

# The tests that take long
slow *ARGS:
    pytest -m slow --timeout 3600 {{ARGS}}

# The tutorial's packages, from their wheels
examples *ARGS:
    pytest -m slow tests/documents/test_examples.py {{ARGS}}

# Many more damaged and hostile files of each kind than the tests read
fuzz COUNT="20000" *ARGS:
    NBODY_FUZZ={{COUNT}} pytest tests/files/test_untrusted_files.py --timeout 3600 -k damaged {{ARGS}}

lint:
    ruff check .
    ruff format --check .
    mypy
    lint-imports

fix:
    ruff check --fix .
    ruff format .

# The page of public names, from the code
docs:
    python docs/make_api.py

# Every number in the README and in docs/ but those of studies
bench:
    python benchmarks/reference_drift.py
    python benchmarks/main_job.py
    nbody-sim evaluate set
    nbody-sim bench
    python benchmarks/render_speed.py
    python benchmarks/set_speed.py
    python benchmarks/set_paper_speed.py
    python benchmarks/set_variants.py --output runs/variants
    python benchmarks/long_runs.py
    python benchmarks/guarded_runs.py
    python benchmarks/gpu_rollout.py
    python benchmarks/fixed_step_speed.py
    python benchmarks/compiled_solver_speed.py
    python benchmarks/nbody_small.py
    python benchmarks/dataset_speed.py
    python benchmarks/scaling.py --figure docs/images/scaling.png
    python benchmarks/convergence.py --figure docs/images/convergence.png
    python benchmarks/chaos.py --figure docs/images/chaos.png
    python benchmarks/memory.py --output runs/memory --seconds 25 --seeds 5 --systems charging
    python benchmarks/memory.py --output runs/memory --seconds 25 --seeds 3 --systems ties
    python benchmarks/memory.py --output runs/memory --seconds 20 --seeds 3 --systems bath
    python benchmarks/memory.py --output runs/memory --seconds 20 --seeds 3 --systems charged
    python benchmarks/memory_rollouts.py runs/memory/charging/*/0
    python benchmarks/memory_cost.py

# The studies whose tables stand in docs/: 50 minutes on two cores
studies:
    nbody-sim study studies/paper-smoke.toml --output runs/paper-smoke
    nbody-sim study studies/paper-smoke.toml --minutes 1 --output runs/paper-smoke-minutes
    nbody-sim study studies/zero-target.toml --output runs/zero-target
    nbody-sim study studies/generalisation.toml --output runs/generalisation
    nbody-sim train plugins/nbody_baselines/recipes/egnn-nbody-small.toml --output runs/egnn
    nbody-sim evaluate runs/egnn --dataset runs/egnn/data-0

# Train the shipped weights of SET again
train:
    nbody-sim train plugins/nbody_set/recipes/set-first.toml --output runs/set-first
    nbody-sim train plugins/nbody_set/recipes/set.toml --output runs/set
    nbody-sim train plugins/nbody_set/recipes/set-small.toml --output runs/set-small
    nbody-sim train plugins/nbody_set/recipes/set-kernel.toml --output runs/set-kernel

# What the continuous integration runs
ci:
    .ci/run
