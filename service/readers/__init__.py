"""The readers of the bridge: their sources, and the choice of the card that a call means."""
