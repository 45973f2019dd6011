"""Reports for people: a page that needs nothing but itself, or Markdown."""

from edgekit.report.html import comparison_html, profile_html
from edgekit.report.markdown import comparison_markdown, profile_markdown

__all__ = ["comparison_html", "comparison_markdown", "profile_html", "profile_markdown"]
