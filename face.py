"""The client as users have it: the service's client, and the report that analysis makes of what it reads."""

from __future__ import annotations

from pathlib import Path

from .service import client


class Client(client.Client):
    """Submits studies and reads what came of them; see ``service.client``."""

    def report(self, study: str, path: str | Path = "report.html", revision: int | None = None) -> Path:
        """Write the report of a study: one HTML file, and its tables as CSV in the folder of that name beside it.

        Returns the path of the page. Raises NotFound where there is no such study, OSError where it cannot be
        written.
        """
        from .analysis.report import write_report

        return write_report(self, study, path, revision)
