"""Tools of the project: benchmarks, generated documents."""
