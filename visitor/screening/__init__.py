"""Screening: a visitor against the lists in force, the verdict with its evidence, and what staff decided of it."""
