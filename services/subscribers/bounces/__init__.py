"""What comes back about mails: taken in by LMTP and HTTP, and the list of who is left alone for it."""
