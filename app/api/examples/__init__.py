"""The examples of the OpenAPI document, by what they are of; tests send those of requests."""
