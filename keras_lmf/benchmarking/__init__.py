"""Speed and memory of tensor fusion and low-rank fusion, as ratios in one run: `benchmark`."""

from keras_lmf.benchmarking.report import SpeedReport, benchmark

__all__ = ["SpeedReport", "benchmark"]
