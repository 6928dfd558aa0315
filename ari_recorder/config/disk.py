"""When a disk that fills is spoken of, and when no new recording begins on it: `[disk]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from .table import Table

MEGABYTE = 1_000_000


class DiskSettings(Table):
    """The watch on the disks of spool, second spool and Asterisk's recording folders. May be left out."""

    warn_hours: Annotated[float, Field(gt=0, le=8760)] = 24.0
    """A disk that will be full in fewer hours, at the present rate, is warned of."""
    critical_hours: Annotated[float, Field(gt=0, le=8760)] = 2.0
    """From here on the warning is a critical one."""
    stop_at_free: Annotated[int, Field(strict=True, ge=0, le=10_000_000)] = 200
    """Megabytes: a disk with less free space begins no new recording, so that running ones can end. Of a
    small disk, such as a RAM disk, a tenth."""

    @model_validator(mode="after")
    def _ordered(self) -> DiskSettings:
        if self.critical_hours > self.warn_hours:
            raise ValueError('"critical_hours" must not be more than "warn_hours"')
        return self

    @property
    def stop_bytes(self) -> int:
        return self.stop_at_free * MEGABYTE
