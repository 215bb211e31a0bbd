"""Wire models: what a body may hold, and what answers look like. They define the OpenAPI document."""
