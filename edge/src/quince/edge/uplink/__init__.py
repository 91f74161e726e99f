"""The gateway's end of the MQTT link: what goes up, in which order, and when again."""
