"""All commands of `nbody-sim`. Each is loaded when it is called, and what it needs when it runs."""

from __future__ import annotations

import rich_click as click

from nbody_surrogate.cli.on_demand import CommandsOnDemand, GroupOnDemand

__all__ = ["main"]

SUMMARIES = {
    "bench": "Measure work and precision: the error of each method over what it costs.",
    "calibrate": "Calibrate the error estimate of MODEL, and put what was found on its card.",
    "compare": "Compare runs with a reference: FILES are the reference's and then one or more "
    "candidates'.",
    "dataset": "Make data sets that reproduce, and find what is wrong with any.",
    "discover": "Find the law behind the tracks in FILES, and write it to a folder.",
    "evaluate": "Score MODEL: a name of `nbody-sim models list`, a folder of weights or a run "
    "folder.",
    "export": "Write one trajectory of RUN to OUTPUT, for other programs.",
    "models": "List trained models, and show what they are for and how good they are.",
    "plan": "Say whether a surrogate can pay for a system on this machine, before it is trained.",
    "plugins": "List, show and check systems, integrators and surrogates; write a new plugin.",
    "render": "Draw RUN in 3D: an H5MD file, or a trajectory that another program wrote.",
    "report": "Write a page about RUN: numbers, curves, and the scene in 3D.",
    "resume": "Go on with a run from FILE, which `nbody-sim run --checkpoint FILE` has kept.",
    "run": "Roll out a solver or a surrogate and compare it with the ground truth.",
    "study": "Train and compare the models of the study CONFIG, a TOML file.",
    "tracks": "Read the tracks in FILES, and say what was taken for what.",
    "train": "Train a surrogate by the recipe CONFIG, a TOML file.",
}
"""The first paragraph of each command's help; a test holds it against the command's own."""


@click.group(cls=GroupOnDemand, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nbody-surrogate", prog_name="nbody-sim")
def main() -> None:
    """Simulate charged particles by a solver or by a learned stepper."""


# after the group is made, which looks at all that it is given
main.commands = CommandsOnDemand("nbody_surrogate.cli", SUMMARIES)
