"""Measures the server beside a bare event loop and, when given, ARIN's server.

``python -m bench --help`` tells how; the method stands in docs/performance.md. Nothing here is
part of the wheel.
"""
