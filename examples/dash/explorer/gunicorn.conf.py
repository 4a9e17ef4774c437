"""Settings of gunicorn, which reads this file by itself."""

from typing import Any

keepalive = 75  # seconds; a shorter one ends connections that browsers are about to use


def post_worker_init(worker: Any) -> None:
    """Dash registers its scripts with a worker's first request, and a second one that
    comes meanwhile to another thread finds none: so ask once before anybody else does.
    The layout asks for the flights, and the page for all of them as its selection: the
    first worker makes them for all.
    """
    import tables

    for path in ("/", "/_dash-layout"):
        worker.wsgi.test_client().get(path)
    tables.selection((), tuple(sorted(tables.ORIGINS)), 1, 12)
