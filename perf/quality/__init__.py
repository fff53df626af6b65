"""How many faults the QC checks find: `python -m perf.quality TREE`."""
