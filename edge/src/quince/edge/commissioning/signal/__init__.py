"""What the link to the head-end is worth: radio, broker, certificates, session, clock, outbox."""
