"""Code that receivers of webhooks may copy; tests run it against signatures of ours."""
