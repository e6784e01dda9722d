"""What tasks and initial states are drawn from: `draw(n, rng, …)` gives n independent draws, [n, ...]."""

from __future__ import annotations

import numpy as np

from metarl_cli.envs.vector import FloatArray

__all__ = ["box", "corner", "direction", "disc", "factors", "interval", "sign"]

CORNERS = np.array([[-2.0, -2.0], [2.0, -2.0], [-2.0, 2.0], [2.0, 2.0]])


def sign(n: int, rng: np.random.Generator) -> FloatArray:
    """−1 or +1, [n]."""
    return rng.choice([-1.0, 1.0], n)


def interval(n: int, rng: np.random.Generator, low: float, high: float) -> FloatArray:
    """U(low, high), [n]."""
    return rng.uniform(low, high, n)


def box(n: int, rng: np.random.Generator, limit: float, size: int = 2) -> FloatArray:
    """U(−limit, limit) on every component, [n, size]."""
    return rng.uniform(-limit, limit, (n, size))


def corner(n: int, rng: np.random.Generator) -> FloatArray:
    """One of the four corners (±2, ±2), [n, 2]."""
    return CORNERS[rng.integers(len(CORNERS), size=n)]


def direction(n: int, rng: np.random.Generator) -> FloatArray:
    """A unit vector of uniform angle, [n, 2]."""
    angles = rng.uniform(0.0, 2.0 * np.pi, n)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def disc(n: int, rng: np.random.Generator, radius: float) -> FloatArray:
    """Uniform in the disc of that radius, [n, 2]."""
    radii: FloatArray = radius * np.sqrt(rng.uniform(size=(n, 1)))
    return radii * direction(n, rng)


def factors(n: int, rng: np.random.Generator, bases: tuple[float, ...], sizes: tuple[int, ...]) -> FloatArray:
    """base^U(−3, 3) on every component, of which `sizes[i]` have `bases[i]`, [n, sum of the sizes]."""
    powers: FloatArray = np.repeat(bases, sizes) ** rng.uniform(-3.0, 3.0, (n, sum(sizes)))
    return powers
