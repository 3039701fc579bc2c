"""The key of a table of distances: everything that determines its numbers, and no path."""

from rbcore.store.files import Facts, sha256_of_facts


def distances_key(key_facts: Facts) -> str:
    """Return the name under which distances with these facts are kept: 32 hex digits."""
    return sha256_of_facts(key_facts)[:32]
