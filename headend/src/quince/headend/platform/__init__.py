"""What every feature stands on: SQLite in its two forms, the broker, the log."""
