"""Shapes and bending of simulated heads, against distances and determinants one can compute by hand."""

import numpy as np
import pytest

from srreg.simulate.deform import (
    Amount,
    Lattice,
    Placement,
    PoseRange,
    exponential,
    random_diffeomorphism,
    random_pose,
    smooth_noise,
)
from srreg.simulate.shapes import Ellipsoid, Part, Points, Tube, blend, paint


def points(*places: tuple[float, float, float]) -> Points:
    return Points(*np.array(places, np.float32).T.copy())


def test_distance_to_a_sphere_is_exact() -> None:
    sphere = Ellipsoid((1, 2, 3), (5, 5, 5))
    assert sphere.distance(points((1, 2, 11), (1, 2, 8), (2, 2, 3), (1, 2, 3))) == pytest.approx([3, 0, -4, -5], abs=1e-4)


def test_pitch_lifts_the_front_and_yaw_turns_it_outwards() -> None:
    front_and_up, front_and_out = points((0, 7, 7)), points((7, 7, 0))
    long = {"centre": (0, 0, 0), "radii": (2, 12, 2)}
    assert Ellipsoid(**long, pitch=45).distance(front_and_up) < 0 < Ellipsoid(**long, pitch=-45).distance(front_and_up)
    assert Ellipsoid(**long, yaw=45).distance(front_and_out) < 0 < Ellipsoid(**long, yaw=-45).distance(front_and_out)


def test_a_turned_ellipsoid_lies_in_its_box() -> None:
    shape = Ellipsoid((3, -2, 1), (4, 9, 2), pitch=30, yaw=-20)
    cloud = Points(*np.random.default_rng(0).uniform(-14, 14, (3, 20000)).astype(np.float32))
    inside = np.stack(cloud.at(shape.distance(cloud) < 0))
    low, high = shape.box
    assert (inside.min(axis=1) > low).all()
    assert (inside.max(axis=1) < high).all()
    assert inside.max(axis=1) == pytest.approx(high, abs=1.0)


def test_a_tube_tapers_from_knot_to_knot() -> None:
    tube = Tube(((0, 0, 0, 2), (0, 10, 0, 4)))
    assert tube.distance(points((5, 0, 0), (5, 5, 0), (5, 10, 0), (0, 20, 0))) == pytest.approx([3, 2, 1, 6])


def test_blending_two_solids_rounds_only_where_they_meet() -> None:
    one, other = np.array([-3, 0, 0], np.float32), np.array([9, 0, 9], np.float32)
    assert blend(one, other, 2.0) == pytest.approx([-3, -0.5, 0])


def test_a_later_part_covers_an_earlier_one() -> None:
    tissue = np.zeros(3, np.uint8)
    parts = [Part(1, Ellipsoid((0, 0, 0), (4, 4, 4))), Part(2, Ellipsoid((0, 0, 0), (1, 1, 1)), grown_mm=1)]
    paint(tissue, points((0, 0, 1.5), (0, 3, 0), (5, 0, 0)), parts)
    assert tissue.tolist() == [2, 1, 0]


def test_smooth_noise_has_unit_variance_and_a_seed() -> None:
    noise, again = (smooth_noise(np.random.default_rng(3), 2, 8.0, 100.0, 4.0).values for _ in range(2))
    assert noise.std() == pytest.approx(1, abs=0.15)
    assert np.array_equal(noise, again)


def test_flowing_there_and_back_ends_where_it_began() -> None:
    velocity = Lattice(3 * smooth_noise(np.random.default_rng(1), 3, 20.0, 144.0, 6.0).values, 6.0)
    there, back = exponential(velocity), exponential(Lattice(-velocity.values, 6.0))
    start = Points(*np.random.default_rng(2).uniform(-90, 90, (3, 500)).astype(np.float32))
    ahead = Points(*(p + u for p, u in zip(start, there(start), strict=True)))
    end = np.stack(ahead) + back(ahead)
    assert np.abs(np.stack(ahead) - np.stack(start)).max() > 3
    assert np.abs(end - np.stack(start)).max() < 0.25


def test_the_bending_folds_nowhere() -> None:
    bending = random_diffeomorphism(np.random.default_rng(4), Amount((2.0, 3.0), (14.0, 28.0)))
    gradient = np.stack([np.stack(np.gradient(u, bending.spacing_mm)) for u in bending.values])
    assert np.linalg.det(np.moveaxis(gradient, (0, 1), (3, 4)) + np.eye(3)).min() > 0


def test_a_placement_without_bending_is_the_inverse_of_the_pose() -> None:
    pose = random_pose(np.random.default_rng(5), PoseRange(0.05, 0.02, 8.0, (5.0, 10.0, 15.0)))
    placement = Placement(pose, Lattice(np.zeros((3, 3, 3, 3), np.float32), 6.0))
    template = np.array([[10.0, -20.0, 30.0], [0.0, 0.0, 0.0]])
    world = template @ pose[:3, :3].T + pose[:3, 3]
    assert np.stack(placement.to_template(points(*world)), axis=1) == pytest.approx(template, abs=1e-3)
    assert placement.centre() == pytest.approx(world[1])
