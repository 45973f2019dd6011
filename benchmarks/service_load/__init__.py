"""The service under load: a client that checks every answer, the process it asks, and what is measured."""
