"""A certificate for the servers that speak TLS."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def certificate() -> Iterator[tuple[str, str]]:
    """One for 127.0.0.1 and localhost: the paths of what a client is to trust, and of its chain with the key."""
    import trustme  # slow to import, and of no use without TLS

    with tempfile.TemporaryDirectory(prefix="servers-") as directory:
        ca, chain = Path(directory, "ca.pem"), Path(directory, "chain.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(ca))
        authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(str(chain))
        yield str(ca), str(chain)
