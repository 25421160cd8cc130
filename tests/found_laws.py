"""A discovery of twelve grains of dust, as it might be, by hand: its law, all else, and tracks."""

from __future__ import annotations

import copy

import numpy as np

N, D = 12, 3
RANGE = {"scale": 0.9, "first": 0.02, "spacing": 0.12}


def found_law(seed=0):
    """Parameters of the system `discovered`."""
    rng = np.random.default_rng(seed)
    charges = rng.lognormal(0.0, 0.15, N)
    masses = charges**3 / np.mean(charges**3)
    splines = 1.0 + 0.2 * np.sin(0.7 * np.arange(8))
    disc = rng.normal(size=(4, N, D)) * [1.6, 1.6, 0.25]
    return {
        "frame_dt": 0.05,
        "pair": {
            **{"power": -2, "core": 0.1, "screening_length": 1.1, **RANGE},
            "coefficients": splines.round(4).tolist(),
        },
        "uniform": [0.0, 0.0, -4.0],
        "uniform_by_charge": [0.0, 0.0, 4.0],
        "gradient_by_charge": [-0.6, -0.6, -4.0],
        "drag": 0.21,
        "drag_power": -0.333,
        "temperature": 0.04,
        "dimensions": D,
        "charges": charges.tolist(),
        "masses": masses.tolist(),
        "starts_x": disc.tolist(),
        "starts_v": (0.3 * rng.normal(size=disc.shape)).tolist(),
    }


def found_discovery(seed=0):
    """What discovery.json holds beside it."""
    rng = np.random.default_rng(seed + 1)
    law = found_law(seed)
    charges, masses = np.array(law["charges"]), np.array(law["masses"])
    ratio = charges / masses
    r = np.geomspace(0.25, 6.0, 60)
    force = np.exp(-r / 1.1) / (r * r + 0.01) * (1 + 0.1 * np.sin(3 * r))
    width = force * (0.02 + 0.05 * (r / 6.0) ** 2)
    edges = np.linspace(0.2, 6.2, 41)
    middle = 0.5 * (edges[1:] + edges[:-1])
    counts = np.round(4e4 * middle * np.exp(-(((middle - 2.4) / 1.5) ** 2)))
    particles = [
        {
            "name": str(k),
            "charge": around(q / charges.mean(), 0.004),
            "charge_to_mass": around(each / ratio.mean(), 0.003),
            "drag": around(0.21 * m**-0.333, 0.01),
        }
        for k, (q, m, each) in enumerate(zip(charges, masses, ratio, strict=True))
    ]
    return {
        "version": 1,
        "command": "nbody-sim discover tracks.csv --output grains --frame-rate 20 --seed 0",
        "seed": 0,
        "tracks": {
            "files": ["tracks.csv"],
            "runs": 1,
            "frames": 8000,
            "particles": N,
            "dimensions": D,
            "frame_dt": 0.05,
            "length_unit": "mm",
            "time_unit": "s",
            "missing": 0.013,
        },
        "curve": {
            "r": r.tolist(),
            "force": force.tolist(),
            "low": (force - width).tolist(),
            "high": (force + width).tolist(),
            "edges": edges.tolist(),
            "counts": counts.tolist(),
        },
        "particles": particles,
        "field": [
            {"name": "uniform z", **around(-4.0, 0.01)},
            {"name": "uniform by charge z", **around(4.0, 0.01)},
            {"name": "gradient by charge x", **around(-0.6, 0.02)},
            {"name": "gradient by charge y", **around(-0.6, 0.02)},
            {"name": "gradient by charge z", **around(-4.0, 0.01)},
        ],
        "noise": {"position": around(1.02e-3, 0.01), "temperature": around(0.041, 0.06)},
        "symmetries": symmetries(),
        "formulas": formulas(),
        "formula": "wake",
        "residuals": {
            "r2_held_out": 0.9931,
            "chi2": 1.04,
            "frames": 1600,
            "per_particle": (1.0 + 0.05 * rng.normal(size=N)).round(4).tolist(),
        },
        "forecast": {"valid_time": around(6.4, 0.2), "segments": 20, "whole": 4, "threshold": 0.1},
        "notes": ["Particle 7 was seen in 7912 of 8000 frames; what is missing was left out."],
    }


def around(value, share):
    """An interval about a value, in plain numbers."""
    wide = abs(value) * share
    return {"value": float(value), "low": float(value - wide), "high": float(value + wide)}


def symmetries():
    tests = [
        ("Newton's third law", "forces of a pair are opposite and equal", True, 0.31, 1e-12),
        ("isotropy", "the vertical is a direction like all others", True, 0.22, 1e-9),
        ("axis", "all directions within the horizontal plane are alike", False, 0.004, 0.61),
        ("reflection", "a mirror image is a motion as well", False, 0.002, 0.83),
        ("translation", "the laws are the same everywhere", True, 0.9, 1e-15),
        ("boost", "the laws are the same in uniform motion", True, 0.2, 1e-14),
        ("time shift", "the laws stay what they are", False, 0.001, 0.4),
    ]
    rows = [
        {
            **{"name": name, "meaning": meaning, "broken": broken, "effect": around(effect, 0.3)},
            **{
                "p": p,
                "p_corrected": min(1.0, 7 * p),
                "least": 1e-6,
                "tested": True,
                "why_not": None,
            },
        }
        for name, meaning, broken, effect, p in tests
    ]
    return [
        *rows,
        {
            **{"name": "charge conjugation", "meaning": "signs of all charges may be exchanged"},
            **{
                "broken": False,
                "effect": None,
                "p": None,
                "p_corrected": None,
                "least": None,
                "tested": False,
            },
            "why_not": "all charges are of one sign",
        },
    ]


def formulas():
    wake = {"k": 1.01, "screening length": 0.98, "wake charge": 0.31, "wake distance": 0.29}
    return [
        *[fit("wake", wake, -0.002, True, "k q q exp(-r / l) (1 / r + 1 / l) / r + a wake")],
        *[
            fit(
                "Yukawa", {"k": 1.2, "l": 0.8}, -1.7, False, "k q q exp(-r / l) (1 / r + 1 / l) / r"
            )
        ],
        *[fit("Coulomb", {"k": 0.4}, -25.3, False, "k q q / r^2")],
    ]


def fit(name, parameters, held_out, fits, text):
    values = {"parameters": parameters, "held_out": held_out, "fits": fits, "text": text}
    return {"name": name, **values, "distance": None}


def tracks_and_forecast(frames=120, seed=3):
    """Places (T, N, D) of measured tracks, with gaps, and of a forecast from their first frame."""
    rng = np.random.default_rng(seed)
    start = np.array(found_law()["starts_x"][0])
    t = 0.05 * np.arange(frames)[:, None, None]
    phase = rng.uniform(0, 2 * np.pi, size=(N, D))
    swing = 0.35 * (np.sin(2.0 * t + phase) - np.sin(phase))
    tracks = start + swing + 1e-3 * rng.normal(size=(frames, N, D))
    forecast = start + 0.35 * (np.sin(2.02 * t + phase) - np.sin(phase))
    tracks[40:44, 7] = np.nan
    return tracks, forecast


def changed(content, path, value):
    """A copy of nested content with one value replaced; keys of the path are joined by dots."""
    copied = copy.deepcopy(content)
    *keys, last = [int(key) if key.isdecimal() else key for key in path.split(".")]
    place = copied
    for key in keys:
        place = place[key]
    place[last] = value
    return copied
