"""Readers of the bridge: their sources, and which card is meant."""
