"""Doors: who may open which, decided from memory; the journal of what was decided; the readers and locks themselves."""
