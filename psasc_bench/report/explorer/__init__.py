"""One page to explore a study with: figures and tables with filters, in a file that needs nothing but a browser."""

from psasc_bench.report.explorer.page import write_explorer

__all__ = ["write_explorer"]
