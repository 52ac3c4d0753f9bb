"""Print residual and drift_below of the gate that parts the two data sets of an analysis best.

usage: gate.py analysis.json
"""
import json
import sys

calibrations = json.load(open(sys.argv[1]))["gate"]
best = max(calibrations, key=lambda c: c["replayed"] + c["kept_out"])  # of equals, the first
print(best["residual"], f"{best['drift_below']:.4f}")
