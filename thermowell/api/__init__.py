"""Documents of the API, each declared once: the service sends them, the search stores them, clients read them."""
