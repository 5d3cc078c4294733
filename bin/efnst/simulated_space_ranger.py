"""The former home of the simulated Space Ranger folders, for builders of test inputs outside of the project."""

from efnst.simulation.damage import *  # noqa: F403
from efnst.simulation.feature_matrix import *  # noqa: F403
from efnst.simulation.space_ranger import *  # noqa: F403
