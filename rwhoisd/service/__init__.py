"""Handlers: one module per directive and one for the query. They know no sockets."""
