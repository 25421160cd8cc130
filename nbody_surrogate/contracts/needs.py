"""What a system may need beyond forces on pairs in open space: the second part of its contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from nbody_surrogate.contracts.arrays import demand_vectors, read_only
from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.capabilities import (
    HIDDEN_VARIABLES,
    NEIGHBOURS,
    PERIODIC_BOX,
    RANDOM_KICKS,
)
from nbody_surrogate.contracts.configurations import demand_fit
from nbody_surrogate.contracts.hidden_variables import (
    Hidden,
    HiddenVariable,
    demand_hidden,
    refuse_wrong_hidden,
)
from nbody_surrogate.contracts.kicks import SystemKicks
from nbody_surrogate.contracts.neighbours import NeighbourRequest, Neighbours, neighbour_pairs
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.violations import array_or_none, plugin_errors
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["SystemNeeds"]


class SystemNeeds(SystemKicks):
    """The duties of a system with a box, a cut-off, hidden variables or radii; none by default.

    Lengths, accelerations and rates are in reduced units.

    A method that lacks what a system `needs` refuses it. To write such a system:

    1. where space is not open, return it from the property `box`. Positions stay unwrapped, so
       take differences by `Box.displacement`, in forces and in energies;
    2. where forces end at a cut-off, return a request from `requested_neighbours` and implement
       `neighbour_acceleration`, which is then called in the place of `pair_acceleration`. That
       one stays the definition of the forces, by all pairs: it may call the other with
       `every_pair`. An energy may take its list from `neighbours`;
    3. where the state holds more than positions and velocities, declare `hidden_variables`, draw
       them in `_sample`, implement `_hidden_rate`, and `hidden_acceleration` for what they do to
       the motion; set `batch_invariant` where it holds;
    4. where forces depend on the size of particles, set `needs_radii`, and draw them in `_sample`;
    5. where not all starts make sense, raise in `refuse_unfit_start`;
    6. where particles are in a bath, which drags and kicks them, see `SystemKicks`.

    All of it may depend on the parameters.
    """

    name: ClassVar[str]

    @property
    def usual_dimensions(self) -> int:
        """In how many dimensions a start is drawn where nobody says, and there is no box."""
        return 3

    @property
    def box(self) -> Box | None:
        """The box that particles live in, or None where space is open."""
        return None

    @property
    def requested_neighbours(self) -> NeighbourRequest | None:
        """Which neighbours the forces look at, or None where they look at all pairs."""
        return None

    @property
    def hidden_variables(self) -> tuple[HiddenVariable, ...]:
        """What the state holds beyond positions and velocities, by unlike names."""
        return ()

    @property
    def batch_invariant(self) -> bool:
        """Whether forces and rates of what is hidden give a trajectory the same bits in any batch.

        Then data sets are made in batches. Sums over an axis and functions of each number do.
        """
        return False

    @property
    def needs_radii(self) -> bool:
        """Whether forces depend on `Particles.radii`: then they must be there, else must not."""
        return False

    @final
    def refuse_wrong_radii(self, particles: Particles) -> None:
        """Raise where particles lack radii that the system needs, or have some that it does not.

        Raises
        ------
        InputError
        """
        if self.needs_radii and particles.radii is None:
            raise InputError(
                f"`particles` must have `radii`, which system {self.name!r} needs, got none; "
                "give Particles(..., radii=...), or draw a start"
            )
        # they would be drawn and stored as if they meant something
        if not self.needs_radii and particles.radii is not None:
            raise InputError(
                f"`particles` must have no `radii`: the forces of system {self.name!r} do not "
                "depend on any; leave them out"
            )

    def refuse_unfit_start(self, state: State, particles: Particles) -> None:
        """Raise `InputError` where a start is none of this physics, such as bodies that overlap.

        It is asked before a run, not within one: a solver may try states that no start may have.

        Parameters
        ----------
        state : State
        particles : Particles
        """
        return

    @property
    @final
    def needs(self) -> frozenset[str]:
        """What a method must be capable of, by the names of `contracts.capabilities`."""
        box = self.box
        # a box without a periodic axis is open space, in which every method is at home
        needed = {
            PERIODIC_BOX: box is not None and any(box.periodic),
            NEIGHBOURS: self.requested_neighbours is not None,
            HIDDEN_VARIABLES: bool(self.hidden_variables),
            RANDOM_KICKS: self.bath_temperature != 0,
        }
        return frozenset(name for name, is_needed in needed.items() if is_needed)

    def neighbour_acceleration(
        self, x: Float64[np.ndarray, "B N D"], particles: Particles, neighbours: Neighbours
    ) -> Float64[np.ndarray, "B N D"]:
        """Accelerations by the other particles, where `requested_neighbours` asks for a list.

        Parameters
        ----------
        x : ndarray, shape (B, N, D)
        particles : Particles
        neighbours : Neighbours
            All pairs within the cut-off, and some beyond it, which must have no force.

        Returns
        -------
        ndarray, shape (B, N, D)

        Raises
        ------
        NotImplementedError
            If the system asks for a list and does not implement this.
        """
        # ends the line "`neighbour_acceleration` raised NotImplementedError: ..."
        raise NotImplementedError("which `requested_neighbours` asks for")

    def hidden_acceleration(
        self,
        x: Float64[np.ndarray, "B N D"],
        v: Float64[np.ndarray, "B N D"],
        particles: Particles,
        hidden: Hidden,
        neighbours: Neighbours | None,
    ) -> Float64[np.ndarray, "B N D"] | None:
        """Accelerations that depend on hidden variables, or None where there are none.

        Parameters
        ----------
        x, v : ndarray, shape (B, N, D)
        particles : Particles
        hidden : mapping of str to ndarray, shapes (B, N, ...)
        neighbours : Neighbours or None
            As for `neighbour_acceleration`; None where there is no request.

        Returns
        -------
        ndarray, shape (B, N, D), or None
        """
        return None

    def _hidden_rate(
        self,
        x: Float64[np.ndarray, "B N D"],
        v: Float64[np.ndarray, "B N D"],
        particles: Particles,
        hidden: Hidden,
        neighbours: Neighbours | None,
    ) -> Mapping[str, np.ndarray]:
        """Time derivatives of all hidden variables, by name and of their shapes.

        Parameters are those of `hidden_acceleration`.
        """
        raise NotImplementedError("which `hidden_variables` asks for")

    @final
    def _sampled_dimensions(self, wanted: int | None) -> int:
        """Say in how many dimensions a start is drawn: as many as the box has."""
        box = self.box
        if wanted is None:
            return self.usual_dimensions if box is None else box.dimension
        if wanted not in (2, 3):
            raise InputError(f"`dimensions` must be 2 or 3, got {wanted}")
        if box is not None and wanted != box.dimension:
            raise InputError(
                f"`dimensions` must be {box.dimension}, as many as the box of system "
                f"{self.name!r} has, got {wanted}"
            )
        return wanted

    @final
    def neighbours(self, x: Float64[np.ndarray, "B N D"]) -> Neighbours | None:
        """List the neighbours that the system asks for.

        Parameters
        ----------
        x : ndarray, shape (B, N, D)

        Returns
        -------
        Neighbours or None
            None where it asks for none.

        Raises
        ------
        InputError
            If `x` is of another shape.
        """
        return self._near(demand_vectors("x", x, "B N D", (2, 3)), None)

    def _near(
        self, x: Float64[np.ndarray, "B N D"], neighbours: Neighbours | None
    ) -> Neighbours | None:
        """Return the neighbours at x, where they are asked for: known ones, or a list made anew."""
        if (request := self.requested_neighbours) is None:
            return None
        # whether a list that was handed in covers x is not asked here, in the innermost loop:
        # the method knows when to ask
        return neighbour_pairs(x, request, self.box) if neighbours is None else neighbours

    @final
    def _hidden_part(
        self,
        x: Float64[np.ndarray, "B N D"],
        v: Float64[np.ndarray, "B N D"],
        particles: Particles,
        hidden: Hidden,
        neighbours: Neighbours | None,
    ) -> Float64[np.ndarray, "B N D"] | None:
        """Return `hidden_acceleration`, checked, or None where nothing is hidden."""
        if not self.hidden_variables:
            return None
        # nothing is hidden by default in `acceleration`, so whoever calls it may have left them out
        refuse_wrong_hidden(self.name, self.hidden_variables, hidden, x.shape)
        given = (x, v, particles, _read_only(hidden), neighbours)
        return array_or_none(self.origin, self.hidden_acceleration, x.shape, *given)

    @final
    def hidden_rate(
        self,
        x: Float64[np.ndarray, "B N D"],
        v: Float64[np.ndarray, "B N D"],
        particles: Particles,
        hidden: Hidden,
        neighbours: Neighbours | None = None,
    ) -> Hidden:
        """Time derivatives of the hidden variables.

        Parameters are those of `acceleration`.

        Returns
        -------
        mapping of str to ndarray, shapes (B, N, ...)

        Raises
        ------
        InputError
            If shapes do not fit, or hidden variables are missing.
        PluginError
            If the system's rates are not float64 arrays of those shapes, or raise.
        """
        variables = self.hidden_variables
        demand_fit(particles, x, v)
        refuse_wrong_hidden(self.name, variables, hidden, x.shape)
        x, v = read_only(x), read_only(v)
        given = (x, v, particles, _read_only(hidden), self._near(x, neighbours))
        with plugin_errors(self.origin, "_hidden_rate"):
            made = self._hidden_rate(*given)
        demand_hidden(self.origin, "_hidden_rate", variables, made, x.shape[:1], x.shape[1:])
        return made


def _read_only(hidden: Hidden) -> Hidden:
    return {name: read_only(values) for name, values in hidden.items()}
