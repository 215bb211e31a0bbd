"""The operations, by resource. A handler reads its request, asks a service, and renders the answer; nothing else."""
