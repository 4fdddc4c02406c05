"""Kill it, cut it off, let it hang: nothing is lost, and no more is repeated than cannot be helped."""
