"""How a program speaks to a service that runs elsewhere: requests, events, and the documents that come back."""
