"""What every test finds: logs as they are before a command or a service has set them up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command that runs within a test's process sets logs up for the whole process."""
    yield
    structlog.reset_defaults()
