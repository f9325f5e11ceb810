# SPDX-License-Identifier: BSL-1.0
"""The parts of the benchmark driver: run.py, plot.py and syscalls.py put them together."""
