"""What drives a system: devices, training, testing, snapshots, logs."""
