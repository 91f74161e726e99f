"""From the broker's messages to committed rows, once each."""
