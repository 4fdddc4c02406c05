"""Postgres, broker and mail catcher for use on one machine."""
