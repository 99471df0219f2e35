"""What `share` and `pull` do: DVC moves the bytes, Snakemake's own records travel with them."""
