"""What a system's forces cost: the third part of its contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from nbody_surrogate.contracts.state import Particles, State

__all__ = ["SystemCosts"]


class SystemCosts:
    """The duties of a system whose forces are dear, or that is of so many particles alone.

    By default a system is neither. One whose forces take milliseconds, since another program makes
    them, is best written as an `AbstractDearSystem`, which does all of this.
    """

    dear: ClassVar[bool] = False
    """Whether a force takes so long that none may be asked for without need. Nobody then asks for
    those of a part of the particles, as looks ahead for close encounters do of pairs."""

    @property
    def computed(self) -> Mapping[str, int]:
        """Configurations computed so far by what is called, such as ``force_calls``.

        {} unless they are counted. Those that were known from before are not among them.
        """
        return {}

    def claim_looks(self) -> Mapping[str, int]:
        """Return those of `computed` that `check_start` took and no run has counted yet.

        Whoever asks counts them: a command looks at a start before its run begins.
        """
        return {}

    @property
    def fixed_particles(self) -> int | None:
        """How many particles it is of, or None where it is of any number."""
        return None

    @property
    def usual_particles(self) -> int | None:
        """How many particles a start has where nobody says, or None where that is left open."""
        return self.fixed_particles

    def check_start(self, state: State, particles: Particles) -> None:
        """Raise where forces at a start cannot be right; solvers ask before they begin.

        Parameters
        ----------
        state : State, shape (B, N, D)
        particles : Particles

        Raises
        ------
        InputError
        """
        return
