"""A TCP balancer in front of several consoles: gives each connection to the next node that takes
it."""

import socket
import threading


class Balancer:
    def __init__(self, ports):
        self.ports = ports
        self.turn = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            for _ in self.ports:
                self.turn += 1
                try:
                    node = socket.create_connection(
                        ("127.0.0.1", self.ports[self.turn % len(self.ports)]))
                except OSError:
                    continue
                for pair in ((client, node), (node, client)):
                    threading.Thread(target=self.copy, args=pair, daemon=True).start()
                break
            else:
                client.close()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
