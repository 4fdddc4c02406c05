"""Measures Omroeper on real parts, each in its own process; keeps the numbers in docs/performance.md."""
