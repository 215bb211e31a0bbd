"""JSON Web Tokens (RFC 7519) of an issuer that is trusted: read, checked, and made a principal of.

Pure: the issuer's keys and the time are parameters. The order is that of the files: `compact` reads a token's text,
`rules` says which tokens count, `keys` verifies the signature, `identity` says who calls.
"""
