"""Measurements that anyone can run: `make bench`. Ratios in one run, or medians of repeated runs."""
