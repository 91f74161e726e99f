"""The gateway agent: transports → readers → schedule → outbox → uplink; one process per gateway.

Law: an interval the edge accepted stays in its outbox until the head-end says it is committed.
"""
