"""What code is, whatever it looks like: digests of definitions with all that they use, read without running them."""

from psasc_bench.code.closure import Content, content, content_of_entry, digest, entries, package_digest
from psasc_bench.code.modules import INSTALLED, PACKAGE, Module, reached, read

__all__ = [
    "INSTALLED",
    "PACKAGE",
    "Content",
    "Module",
    "content",
    "content_of_entry",
    "digest",
    "entries",
    "package_digest",
    "reached",
    "read",
]
