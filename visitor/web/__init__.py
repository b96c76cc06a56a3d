"""The faces: templates, styles, small modules, and the page routes that compose the slices' services."""
