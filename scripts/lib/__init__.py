"""What several systems share: records, rendering, splits, leakage proofs, metrics, identity, files."""
