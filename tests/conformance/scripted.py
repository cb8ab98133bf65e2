"""A tiny RWhois server that answers as it is told, in this process or in one of its own."""

import socketserver
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

BANNER = "%rwhois V-1.5:003fff:00 host.example (scripted)\n"
RIGHT: Mapping[str, str] = {
    "-rwhois V-1.5": BANNER + "%ok\n",
    "-rwhois": "%error 338 Invalid Directive Syntax\n",
    "-limit 5": "%ok\n",
    "-limit": "%error 338 Invalid Directive Syntax\n",
    "-quit": "%ok\n",
    "-status all": "%error 338 Invalid Directive Syntax\n",
    "-soa": "%soa authority:nowhere.example\n%soa\n%ok\n",
}


class Scripted(socketserver.ThreadingTCPServer):
    """Answers from a table; what is not in it is 230, and the connection is closed then."""

    allow_reuse_address = True
    daemon_threads = False
    block_on_close = True

    def __init__(self, port: int, answers: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", port), Conversation)
        self.answers = answers


class Conversation(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        assert isinstance(self.server, Scripted)
        try:
            self._talk(self.server.answers)
        except ConnectionError:
            return

    def _talk(self, answers: Mapping[str, str]) -> None:
        self.wfile.write(BANNER.encode())
        for line in self.rfile:
            command = line.decode("latin-1").strip()
            answer = answers.get(command, "%error 230 No Objects Found\n")
            self.wfile.write(answer.encode("latin-1"))
            if command == "-quit" or command not in answers:
                return


@contextmanager
def scripted(answers: Mapping[str, str] = RIGHT) -> Iterator[int]:
    """The port of a server that runs in a thread for the length of the context."""
    with Scripted(0, answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    with Scripted(int(sys.argv[1]), RIGHT) as alone:
        alone.serve_forever()
