"""Rotations in torch, for predicted motions: quaternions x y z w, scalar last, rotation vectors in radians.

A rotation by the angle a about the unit axis u has the rotation vector ``a u`` and the quaternion
``(u sin(a / 2), cos(a / 2))``. SciPy's `Rotation` has no gradients; the tests compare the two.
"""

from __future__ import annotations

import torch

SMALL = 1e-8


def quaternion_of(turn: torch.Tensor) -> torch.Tensor:
    """The quaternion [..., 4] of a rotation vector [..., 3]; differentiable at no rotation too."""
    squared = (turn * turn).sum(-1, keepdim=True)
    angle = torch.sqrt(squared + SMALL**2)
    # sin(a / 2) / a, which is 1/2 at 0.
    return torch.cat([turn * torch.sin(angle / 2) / angle, torch.cos(angle / 2)], -1)


def turn_of(quaternion: torch.Tensor) -> torch.Tensor:
    """The rotation vector [..., 3] of a quaternion of length 1 whose scalar part is not negative, [..., 4]."""
    vector, scalar = quaternion[..., :3], quaternion[..., 3:]
    sine = torch.sqrt((vector * vector).sum(-1, keepdim=True) + SMALL**2)
    return vector / sine * 2 * torch.atan2(sine, scalar)


def product(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The quaternion of ``other`` followed by ``one`` (Hamilton's product), [..., 4]."""
    a, b = one[..., :3], other[..., :3]
    s, t = one[..., 3:], other[..., 3:]
    vector = s * b + t * a + torch.linalg.cross(a, b)
    return torch.cat([vector, s * t - (a * b).sum(-1, keepdim=True)], -1)


def matrix_of(quaternion: torch.Tensor) -> torch.Tensor:
    """The rotation matrix [..., 3, 3] of a quaternion of length 1, [..., 4]."""
    x, y, z, w = quaternion.unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], -1),
        torch.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], -1),
        torch.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)


def level_of(rotation: torch.Tensor) -> torch.Tensor:
    """The yaw of a rotation alone, [..., 3, 3]: about z, with the same heading of the x axis in the ground plane."""
    forward = rotation[..., :2, 0]
    c, s = (forward / torch.sqrt((forward * forward).sum(-1, keepdim=True) + SMALL**2)).unbind(-1)
    zero, one = torch.zeros_like(c), torch.ones_like(c)
    rows = [torch.stack([c, -s, zero], -1), torch.stack([s, c, zero], -1), torch.stack([zero, zero, one], -1)]
    return torch.stack(rows, -2)


def composed(steps: torch.Tensor, tilt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The poses after motions, in the level coordinates of the frame that they start from.

    Args:
        steps: motions [n, count, 6] as `scripts.aerial.world.poses.motions` gives them, metres and radians.
        tilt: the first frame's orientation without its yaw, quaternion [n, 4].

    Returns:
        Orientations [n, count, 3, 3] and positions in metres [n, count, 3].
    """
    turn, place = tilt, torch.zeros_like(tilt[:, :3])
    turns, places = [], []
    for at in range(steps.shape[1]):
        place = place + (matrix_of(turn) @ steps[:, at, :3, None])[..., 0]
        turn = product(turn, quaternion_of(steps[:, at, 3:]))
        turn = turn / torch.sqrt((turn * turn).sum(-1, keepdim=True))
        turns.append(matrix_of(turn))
        places.append(place)
    return torch.stack(turns, 1), torch.stack(places, 1)
