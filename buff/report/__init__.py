"""A page of tables and plots on generated events: one HTML file that needs nothing else."""

from buff.report.jets import jets_page
from buff.report.sections import Cost, html_report
from buff.report.showers import shower_html_report

__all__ = ["Cost", "html_report", "jets_page", "shower_html_report"]
