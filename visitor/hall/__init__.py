"""The hall: may this person be here? Badge checks on a phone, and challenges of people without a badge."""
