"""An invented world: relief, water, towns and roads from a seed, cut into tiles, drawn and written as an export.

Only sums, products and roots are used. Sines, powers and matrix products differ in the last bit between processors.
"""
