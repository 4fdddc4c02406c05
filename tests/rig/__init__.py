"""The real world that tests need: servers that start, fail on command and stop."""
