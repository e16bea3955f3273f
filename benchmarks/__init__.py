"""Measurements. They print; nothing here is asserted."""
