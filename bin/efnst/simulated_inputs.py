"""The former home of the simulated sections in other forms, for builders of test inputs outside of the project."""

from efnst.simulation.forms import *  # noqa: F403
from efnst.simulation.space_ranger import *  # noqa: F403
from efnst.simulation.visium_hd import *  # noqa: F403
