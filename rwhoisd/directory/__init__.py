"""The directory itself: values and rules, with no IO, clock, socket or database (layer 1)."""
