"""Policies: purposes of visits as versioned data, and the pure rule that clears, holds or refuses."""
