"""The MQTT contract between gateways and the head-end: topics, lanes, messages up, acks down."""
