"""Benchmarks: each prints a table and writes its figures with machine, versions and date."""
