"""The yardstick: what longlag takes against the machine's limit and against its peers. Run by ``longlag bench``."""
