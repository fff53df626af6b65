"""The selective scan (being written)."""

from models.selective_scan.reference import scan as selective_scan

__all__ = ["selective_scan"]
