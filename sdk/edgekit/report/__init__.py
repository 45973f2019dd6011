"""Reports for people: a page that needs nothing but itself, or Markdown."""

from edgekit.report.html import check_packages, comparison_html, profile_html
from edgekit.report.markdown import comparison_markdown, profile_markdown

__all__ = ["check_packages", "comparison_html", "comparison_markdown", "profile_html", "profile_markdown"]
