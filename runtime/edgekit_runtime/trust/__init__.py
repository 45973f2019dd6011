"""Trust: who made a bundle (signatures) and who may run it (sealed programs). docs/security.md says what that holds.

What signs, checks a signature or opens a sealed program needs the package ``cryptography``, of the extra ``trust``.
"""
