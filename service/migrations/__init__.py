"""Alembic's folder: ``env.py``, and one file a version of the schema in ``versions/``."""
