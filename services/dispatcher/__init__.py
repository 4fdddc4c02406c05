"""Plans who is owed what, sends it, records what happened."""
