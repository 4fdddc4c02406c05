"""How a process meets the world: settings, database pool, Kafka client, clock, logging."""
