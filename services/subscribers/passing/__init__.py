"""The second hop: the page to tell that an opportunity was passed on, and what was told."""
