"""Our parts with the real world: PostgreSQL, Kafka, SMTP and HTTP servers."""
