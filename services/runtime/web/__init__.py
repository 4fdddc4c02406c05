"""What every HTTP service shares: problems, keys, body limits, health."""
