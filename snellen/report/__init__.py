"""The page of a run: report.html, whole in one file, and the pictures in plots/."""

from .facts import Mistake, ReportFacts
from .page import write

__all__ = ["Mistake", "ReportFacts", "write"]
