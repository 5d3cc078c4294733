"""Runs of the pipeline, as in tests/pipeline, and readers in a process with limits."""

from tests.pipeline.conftest import cohort, efnst, project  # noqa: F401
