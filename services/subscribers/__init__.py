"""What incubators and accelerators touch: registry, unsubscribe."""
