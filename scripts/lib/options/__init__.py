"""Typed options, a module a stage, so that a stage imports (and is fingerprinted with) no more than its own slice.

Defaults live here and nowhere else; `scripts.config` puts the slices together.
"""
