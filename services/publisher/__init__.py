"""Takes events in over HTTP, remembers them, relays them to Kafka."""
