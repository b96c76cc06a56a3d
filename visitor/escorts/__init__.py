"""Escorts: who was asked to walk with a visitor, who accepted, and who took over."""
