"""How good answers are, on numpy alone: a report for each kind of task, calibration and thresholds."""
