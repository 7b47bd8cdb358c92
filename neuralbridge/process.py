"""What the operating system lets this process do, and leave behind."""

import logging
import os
import resource

logger = logging.getLogger(__name__)

FILES = 128  # beside the connections: the database, models, pipes to children, uploads


def prepare(connections: int) -> None:
    """Files for this user alone, no memory in a core file, and as many open files as the connections need."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    allow_files(connections + FILES)


def allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        logger.warning(
            "this process may open %d files, and limits.connections asks for %d: raise ulimit -n, or lower it",
            allowed,
            wanted,
        )
