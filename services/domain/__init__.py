"""The rules, pure: no I/O, no clock, no framework. Everything else calls these."""
