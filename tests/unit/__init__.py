"""The rules, tried without any I/O."""
