"""Measurements that anyone can run: `make bench`. Ratios or medians, never single figures."""
