"""A made-up world: relief, water, towns and roads from a seed, cut into tiles, drawn and written as an export.

Sums, products and roots only, no sines, powers or matrix products: those differ in the last bit between processors.
"""
