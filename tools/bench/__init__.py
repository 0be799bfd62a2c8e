"""What novaray costs, measured as its clients see it: ``make bench``, ``docs/benchmarks.md``."""
