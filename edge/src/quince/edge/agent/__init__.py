"""The agent: it visits the meters of one gateway when they are due and keeps what they say."""

from quince.edge.agent.plan import MeterPlan
from quince.edge.agent.service import Agent

__all__ = ["Agent", "MeterPlan"]
