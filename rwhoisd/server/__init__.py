"""The server: a supervisor, its workers, and the thin shell of sockets around the protocol."""
