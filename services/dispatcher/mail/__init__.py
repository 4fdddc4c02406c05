"""Mails: what they say, their bytes, and the connections that carry them."""
