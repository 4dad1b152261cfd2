"""Models as files: archives of named members with digests, described in FORMAT.md."""

from buff.archive.container import FORMAT, Archive, read_archive, write_archive
from buff.archive.loading import KINDS, load

__all__ = ["FORMAT", "KINDS", "Archive", "load", "read_archive", "write_archive"]
