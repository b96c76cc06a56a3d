"""People: who was here, known again across visits by an identity key and never by a name alone."""
