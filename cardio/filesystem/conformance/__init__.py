"""Conformance: a card against its layout, and a region's layout against the specification."""
