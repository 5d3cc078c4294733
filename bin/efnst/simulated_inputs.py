"""The former name of `efnst.simulation.forms`, for builders of test inputs outside of the project."""

from efnst.simulation.forms import *  # noqa: F403
