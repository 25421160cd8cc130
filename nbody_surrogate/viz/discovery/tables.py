"""The tables of a discovery's page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.wording import counted, figure_text
from nbody_surrogate.discovery.contents import DiscoveryFile
from nbody_surrogate.discovery.words import acceleration_unit, forecast_text, interval_text, p_text

SYMMETRIES = (
    "Effect: root mean square of what breaks a symmetry, over that of the pair forces; in brackets "
    "its 95 % interval. Corrected: by Holm, for the number of tests."
)
AGAINST_CURVE = (
    "Log-likelihood of held-out frames against the curve's, for each independent frame: below zero "
    "the curve is better."
)
FROM_CURVE = "Relative distance to the curve, which nine of ten visited distances are within."
SIZE = (
    "A is of the acceleration that a particle of the mean charge gives to one of the mean charge / "
    "mass."
)

__all__ = [
    *("field_table", "formula_table", "number_table", "particle_table", "symmetry_table"),
    "table",
]


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", left: Sequence[int] = ()
) -> str:
    """Write a table; columns named in `left` are of words, which break between lines."""

    def kind(k: int) -> str:
        return ' class="left"' if k in left else ""

    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    head = "".join(f'<th scope="col"{kind(k)}>{escape(each)}</th>' for k, each in enumerate(heads))
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td{kind(k)}>{escape(cell)}</td>" for k, cell in enumerate(row[1:], 1))
        + "</tr>"
        for row in rows
    )
    top = f"<tr>{head}</tr>" if heads else ""
    return f'<div class="scroll"><table>{said}{top}{body}</table></div>'


def number_table(found: DiscoveryFile) -> str:
    """Tell what was read, the noise, and how good the law is."""
    tracks, noise, rest = found.tracks, found.noise, found.residuals
    length, time = _behind(tracks.length_unit), _behind(tracks.time_unit)
    rows = [
        ("tracks", ", ".join(tracks.files)),
        ("particles", f"{tracks.particles} in {tracks.dimensions} dimensions"),
        ("frames", f"{counted(tracks.frames, 'frame')}, {counted(tracks.runs, 'run')}"),
        (f"time between frames{time}", number_text(tracks.frame_dt)),
        ("positions missing", f"{figure_text(100 * tracks.missing, 2)} %"),
        (f"noise of positions{length}", interval_text(noise.position)),
        ("temperature of the kicks", interval_text(noise.temperature)),
        ("R² of held-out innovations, noise and all", figure_text(rest.r2_held_out, 5)),
        ("residuals over noise (χ²)", figure_text(rest.chi2)),
        ("held-out frames", str(rest.frames)),
    ]
    if (seen := found.forecast) is not None:
        rows += [
            (f"forecasts valid for{time}", forecast_text(seen)),
            ("forecast segments", f"{seen.segments}, threshold {figure_text(seen.threshold)}"),
        ]
    units = "" if tracks.length_unit and tracks.time_unit else " Units are those of the tracks."
    made = table((), rows, f"In brackets: 95 % intervals.{units}")
    return made.replace("<td>", '<td class="long">', 1)  # names of files may be any


def _behind(unit: str | None) -> str:
    return "" if unit is None else f" ({unit})"


def particle_table(found: DiscoveryFile) -> str:
    """Charges, responses and drag, particle by particle."""
    rows = [
        (
            each.name,
            interval_text(each.charge),
            interval_text(each.charge_to_mass),
            interval_text(each.drag),
            figure_text(rest),
        )
        for each, rest in zip(found.particles, found.residuals.per_particle, strict=True)
    ]
    heads = ("particle", "charge", "charge / mass", "drag", "residual")
    return table(
        heads,
        rows,
        "Charges and charges over masses are ratios to their means: tracks tell no more. In "
        "brackets: 95 % intervals. Residuals are over what noise makes.",
    )


def field_table(found: DiscoveryFile) -> str:
    """Tell what acts on each particle by itself."""
    if not found.field:
        return '<p class="faint">There is no field: particles see each other alone.</p>'
    rows = [(each.name, interval_text(each)) for each in found.field]
    unit, rate = acceleration_unit(found.tracks), f"1 / {found.tracks.time_unit or 'time'}²"
    said = (
        f"Accelerations: uniform ones in {unit}; gradients, which grow with the place, in {rate}. "
        "Those by charge are times a particle's charge / mass over the mean. In brackets: 95 % "
        "intervals."
    )
    made = table(("field", "strength"), rows, said)
    return f'<div class="narrow">{made}</div>'


def symmetry_table(found: DiscoveryFile) -> str:
    """Which symmetries hold, which are broken, and how surely."""
    rows = []
    for each in found.symmetries:
        said = ("broken" if each.broken else "holds") if each.tested else "not tested"
        why = each.meaning if each.why_not is None else f"{each.meaning}; {each.why_not}"
        numbers = ("", "", "")
        if each.tested:
            numbers = (interval_text(each.effect), p_text(each.p), p_text(each.p_corrected))
        rows.append((each.name, why, said, *numbers))
    heads = ("symmetry", "what it means", "found", "effect", "p", "p, corrected")
    made = table(heads, rows, SYMMETRIES, left=(1,))
    return made.replace("<td>broken</td>", '<td class="yes">broken</td>')


def formula_table(found: DiscoveryFile) -> str:
    """Formulas that were tried, the best first."""
    if not found.formulas:
        return '<p class="faint">No formula was tried.</p>'
    exact = any(each.distance is not None for each in found.formulas)
    rows = [
        (
            each.name,
            each.text,
            ", ".join(f"{key} {figure_text(value, 4)}" for key, value in each.parameters.items()),
            figure_text(each.held_out if each.distance is None else each.distance),
            "yes" if each.fits else "no",
        )
        for each in found.formulas
    ]
    against = FROM_CURVE if exact else AGAINST_CURVE
    heads = ("name", "formula", "parameters", "from the curve" if exact else "against the curve")
    return table((*heads, "fits"), rows, f"{against} {SIZE}", left=(1, 2))
