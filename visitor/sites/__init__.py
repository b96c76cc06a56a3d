"""Sites: schools, their zones, doors, stations, printers and the site's state, which doors read and emergencies set."""
