"""visdom's own server, in its own virtual environment: python -m bench.visdoms PORT FOLDER."""

from __future__ import annotations

import sys


def main() -> None:
    """Serve until killed."""
    from visdom.server.run_server import start_server  # type: ignore[import-not-found]

    start_server(port=int(sys.argv[1]), base_url="", env_path=sys.argv[2], bind_local=True)


if __name__ == "__main__":
    main()
