"""Meters behind optical heads and P1 ports: asked, or listened to."""
