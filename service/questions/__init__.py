"""The questions that a call of hospital software puts to the clerk, at the bridge's own page."""
