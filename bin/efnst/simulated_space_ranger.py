"""The former name of `efnst.simulation.space_ranger`, for builders of test inputs outside of the project."""

from efnst.simulation.space_ranger import *  # noqa: F403
