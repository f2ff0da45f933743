"""Versions of the schema. The newest is ``models.SCHEMA``; a file here is never changed once released."""
