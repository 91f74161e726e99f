"""What meters say unasked: heard on TCP and UDP, believed under their keys."""
