"""Pose metrics. They see records and arrays, never a network."""
