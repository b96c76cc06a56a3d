"""Visitor: visitor management and access credentials for school districts."""

__version__ = "0.1.0"
