"""The web pages: rendered here, filled from the same library as the API, changed through the API alone."""
