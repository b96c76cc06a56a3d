"""Visitor: visitor management and access credentials for school districts."""
