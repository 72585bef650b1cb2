"""The relay between two sockets of ours: what goes in comes out, byte for byte, and as it comes."""
import os
import socket
import subprocess
import threading

from functions import BAD, EXTENSION, GOOD, SECONDS, free_port, main, until

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1:9009\r\nX-OdD:  Case \r\n\r\n"
FIELDS = (b"Content-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n"
          b"Lambda-Runtime-Trace-Id: Root=1-5bef4de7;Parent=9a9197af755a6419;Sampled=1\r\n"
          b"Lambda-Runtime-Client-Context: eyJhIjoiYiJ9\r\nLambda-Runtime-Cognito-Identity: {\"a\":\"b\"}\r\n")
REQUEST = b"8476a536-e9f4-11e8-9739-2dfe598c3fcd"


class Relay:
    """The extension between a listener of ours, which is the Runtime API, and connections of ours.
    Its own requests (of an extension) are answered; those of a runtime are handed to the test."""

    def __init__(self, place, upstream=None, **environment):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(SECONDS)
        self.port = free_port()
        self.kept, self.own = [], None
        address = upstream or "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.process = subprocess.Popen(
            [EXTENSION], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env={**os.environ, "AWS_LAMBDA_RUNTIME_API": address, "YAGURA_APPLICATION_PORT": str(self.port),
                 "YAGURA_APPLICATION_MODE": "mitigate", "YAGURA_APPLICATION_HOME": place,
                 "YAGURA_APPLICATION_BUDGET_MS": "5000", **environment})

    def __enter__(self):
        self.own = Side(self.listener.accept()[0])
        assert b"extension/register" in self.own.head()
        self.own.body(len(b'{"events":["INVOKE","SHUTDOWN"]}'))
        self.own.send(b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: 1\r\nContent-Length: 2\r\n\r\n{}")
        assert b"extension/event/next" in self.own.head()
        return self

    def __exit__(self, *_):
        self.own.send(b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"eventType":"SHUTDOWN"}')
        assert self.process.wait(timeout=SECONDS) == 0
        self.process.stdout.close()
        self.own.close()
        for side in self.kept:
            side.close()
        self.listener.close()

    def client(self):
        side = Side(socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS))
        self.kept.append(side)
        return side

    def accept(self):
        side = Side(self.listener.accept()[0])
        self.kept.append(side)
        return side


class Side:
    def __init__(self, connection):
        self.connection, self.buffered = connection, b""
        connection.settimeout(SECONDS)

    def send(self, data):
        self.connection.sendall(data)

    def close(self):
        self.connection.close()

    def more(self):
        piece = self.connection.recv(1 << 20)
        self.buffered += piece
        return piece

    def until(self, mark):
        while mark not in self.buffered:
            assert self.more(), (mark, self.buffered[:400])
        at = self.buffered.index(mark) + len(mark)
        taken, self.buffered = self.buffered[:at], self.buffered[at:]
        return taken

    def head(self):
        return self.until(b"\r\n\r\n")

    def body(self, length):
        while len(self.buffered) < length:
            assert self.more(), length
        taken, self.buffered = self.buffered[:length], self.buffered[length:]
        return taken

    def at_end(self):
        try:
            return self.buffered == b"" and self.connection.recv(1) == b""
        except ConnectionResetError:
            return True


def passes(client, upstream, request, answer):
    """One exchange, as it was sent."""
    sender = threading.Thread(target=client.send, args=(request,))
    sender.start()
    server = upstream() if callable(upstream) else upstream
    assert server.body(len(request)) == request
    sender.join()
    back = threading.Thread(target=server.send, args=(answer,))
    back.start()
    assert client.body(len(answer)) == answer
    back.join()
    return server


def length(data):
    return b"Content-Length: %d\r\n\r\n" % len(data) + data


def chunked(data, piece, trailers=b""):
    whole = b"Transfer-Encoding: chunked\r\n\r\n"
    for at in range(0, len(data), piece):
        part = data[at:at + piece]
        whole += b"%x;a=b\r\n%s\r\n" % (len(part), part)
    return whole + b"0\r\n" + trailers + b"\r\n"


def test_every_endpoint_passes_byte_for_byte(place):
    with Relay(place) as relay:
        client = relay.client()
        good = GOOD.encode()
        server = passes(client, relay.accept, NEXT, b"HTTP/1.1 200 OK\r\n" + FIELDS + length(good))
        head = b"POST /2018-06-01/runtime/invocation/" + REQUEST + b"/response HTTP/1.1\r\nhost: x\r\n"
        accepted = b"HTTP/1.1 202 Accepted\r\nDate: today\r\n" + length(b'{"status":"OK"}\n')
        passes(client, server, head + length(b'{"statusCode":200}'), accepted)
        for path in (b"/2018-06-01/runtime/init/error", b"/2018-06-01/runtime/restore/error",
                     b"/2020-01-01/extension/register", b"/2020-01-01/extension/init/error",
                     b"/2018-06-01/runtime/invocation/" + REQUEST + b"/error"):
            passes(client, server, b"POST " + path + b" HTTP/1.1\r\nLambda-Runtime-Function-Error-Type: a.b\r\n"
                   + length(b'{"errorMessage":"x"}'), accepted)
        passes(client, server, b"PUT /2022-07-01/telemetry HTTP/1.1\r\n" + length(b"{}"),
               b"HTTP/1.1 200 OK\r\n" + length(b'"OK"'))
        passes(client, server, b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\n\r\n",
               b"HTTP/1.1 200 OK\r\n" + length(b""))
        passes(client, server, b"GET /2020-01-01/extension/event/next HTTP/1.1\r\nA: b\r\n\r\n",
               b"HTTP/1.1 403 Forbidden\r\n" + length(b'{"errorType":"x"}'))
        passes(client, server, b"HEAD /x HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        passes(client, server, b"DELETE /x HTTP/1.1\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n")


def test_chunks_arrive_as_they_are_sent(place):
    """A streamed answer is not held: each chunk is there before the next one is sent."""
    with Relay(place) as relay:
        client = relay.client()
        head = (b"POST /2018-06-01/runtime/invocation/" + REQUEST + b"/response HTTP/1.1\r\n"
                b"Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
                b"Trailer: Lambda-Runtime-Function-Error-Type\r\n\r\n")
        client.send(head)
        server = relay.accept()
        assert server.body(len(head)) == head
        for piece in (b"4\r\none \r\n", b"4;x=y\r\ntwo \r\n", b"5\r\nth", b"ree\r\n", b"0\r\n",
                      b"Lambda-Runtime-Function-Error-Type: Boom\r\n", b"\r\n"):
            client.send(piece)
            assert server.body(len(piece)) == piece
        answer = b"HTTP/1.1 202 Accepted\r\n" + chunked(b"taken", 2)
        server.send(answer)
        assert client.body(len(answer)) == answer
        # And the other way round.
        client.send(b"GET /2018-06-01/x HTTP/1.1\r\n\r\n")
        server.head()
        for piece in (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n",
                      b"0\r\nA: b\r\n\r\n"):
            server.send(piece)
            assert client.body(len(piece)) == piece


def test_events_in_chunks_and_of_six_megabytes(place):
    with Relay(place) as relay:
        client, server = relay.client(), relay.accept
        big = GOOD[:-1].encode() + b',"body":"' + b"a" * (6 << 20) + b'"}'
        for framed in (chunked(GOOD.encode(), 100, b"X: y\r\n"), length(big), chunked(big, 70000)):
            server = passes(client, server, NEXT, b"HTTP/1.1 200 OK\r\n" + FIELDS + framed)
        answer = b"x" * (6 << 20)
        passes(client, server, b"POST /2018-06-01/runtime/invocation/a/response HTTP/1.1\r\n" + length(answer),
               b"HTTP/1.1 202 Accepted\r\n" + length(b""))
        # More than is ever held: it passes, and that is said at the end.
        huge = GOOD[:-1].encode() + b',"body":"' + b"a" * (9 << 20) + b'"}'
        for framed in (length(huge), chunked(huge, 1 << 20)):
            passes(client, server, NEXT, b"HTTP/1.1 200 OK\r\n" + FIELDS + framed)


def test_a_blocked_event_in_chunks(place):
    """Its answer is posted over the same connection, then next is asked again, as the client did."""
    with Relay(place) as relay:
        client = relay.client()
        client.send(NEXT)
        server = relay.accept()
        assert server.head() == NEXT
        server.send(b"HTTP/1.1 200 OK\r\n" + FIELDS + chunked(BAD.encode(), 64))
        head = server.head()
        assert head.startswith(b"POST /2018-06-01/runtime/invocation/" + REQUEST + b"/response HTTP/1.1\r\n")
        size = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        assert b'"statusCode":403' in server.body(size)
        passes(client, server_after(server), b"", b"HTTP/1.1 200 OK\r\n" + FIELDS + length(b"{}"))


def server_after(server):
    server.send(b"HTTP/1.1 202 Accepted\r\n" + length(b"{}"))
    assert server.head() == NEXT
    return server


def test_waiting_to_be_told_to_go_on(place):
    """Expect: 100-continue is between the two ends; so is an answer that comes before the body."""
    with Relay(place) as relay:
        client = relay.client()
        head = (b"POST /2018-06-01/runtime/invocation/a/response HTTP/1.1\r\nExpect: 100-continue\r\n"
                b"Content-Length: 5\r\n\r\n")
        client.send(head)
        server = relay.accept()
        assert server.body(len(head)) == head
        server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert server.body(5) == b"hello"
        server.send(b"HTTP/1.1 202 Accepted\r\n" + length(b""))
        assert client.head().startswith(b"HTTP/1.1 202")
        client.send(head)
        assert server.body(len(head)) == head
        server.send(b"HTTP/1.1 413 Payload Too Large\r\n" + length(b"no"))
        assert client.head().startswith(b"HTTP/1.1 413") and client.body(2) == b"no"
        assert client.at_end()


def test_many_connections_at_once(place):
    """Twenty runtimes ask; they are answered in another order; none waits for another."""
    with Relay(place) as relay:
        clients = [relay.client() for _ in range(20)]
        servers = []
        for client in clients:
            client.send(NEXT)
            servers.append(relay.accept())
            assert servers[-1].head() == NEXT
        for client, server in reversed(list(zip(clients, servers))):
            answer = b"HTTP/1.1 200 OK\r\n" + FIELDS + length(GOOD.encode())
            server.send(answer)
            assert client.body(len(answer)) == answer


def test_a_connection_that_died_asleep(place):
    """After a thaw the Runtime API's connection may be gone: next is asked again, once; an answer is
    never sent twice."""
    with Relay(place) as relay:
        client = relay.client()
        answer = b"HTTP/1.1 200 OK\r\n" + FIELDS + length(b"{}")
        server = passes(client, relay.accept, NEXT, answer)
        server.close()
        server = passes(client, relay.accept, NEXT, answer)
        client.send(NEXT)
        assert server.head() == NEXT
        server.close()  # while it waits
        server = relay.accept()
        assert server.head() == NEXT
        server.send(answer)
        assert client.body(len(answer)) == answer
        client.send(b"POST /2018-06-01/runtime/invocation/a/response HTTP/1.1\r\n" + length(b"{}"))
        server.head()
        server.close()
        assert client.at_end()


def test_two_relays_in_a_chain(place):
    with Relay(place) as outer:
        environment = dict(os.environ, YAGURA_APPLICATION_UPSTREAM=f"127.0.0.1:{outer.port}",
                           AWS_LAMBDA_RUNTIME_API="127.0.0.1:1", YAGURA_APPLICATION_HOME=place)
        port = free_port()
        inner = subprocess.Popen([EXTENSION], env=dict(environment, YAGURA_APPLICATION_PORT=str(port)),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        own = outer.accept()
        assert b"extension/register" in own.head()
        own.body(len(b'{"events":["INVOKE","SHUTDOWN"]}'))
        own.send(b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: 2\r\nContent-Length: 2\r\n\r\n{}")
        assert b"extension/event/next" in own.head()
        client = Side(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))
        passes(client, outer.accept, NEXT, b"HTTP/1.1 200 OK\r\n" + FIELDS + length(GOOD.encode()))
        client.close()
        own.send(b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"eventType":"SHUTDOWN"}')
        assert inner.wait(timeout=SECONDS) == 0


def test_malformed_and_ambiguous_requests(place):
    """Refused, never handed on in a second reading; the relay goes on."""
    with Relay(place) as relay:
        for request in (b"POST /a HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                        b"GET /a\r\n\r\n", b"GET /a HTTP/1.1\r\nA: b\nC: d\r\n\r\n", b"\x16\x03\x01\r\n\r\n",
                        b"GET /a HTTP/1.1\r\nA: " + b"b" * 70000 + b"\r\n\r\n"):
            client = relay.client()
            sender = threading.Thread(target=send_quietly, args=(client, request))
            sender.start()
            assert b"400 Bad Request" in client.connection.recv(1 << 16)
            client.close()
            sender.join()
        silent = relay.client()
        silent.send(b"GET /half HTTP/1.1\r\n")
        client = relay.client()
        passes(client, relay.accept, NEXT, b"HTTP/1.1 200 OK\r\n" + FIELDS + length(GOOD.encode()))


def send_quietly(side, data):
    try:
        side.send(data)
    except OSError:
        pass


def test_a_broken_runtime_api(place):
    """Half an event, or none: the runtime sees the connection end, as it would without us."""
    with Relay(place) as relay:
        for answer in (b"HTTP/1.1 200 OK\r\n" + FIELDS + b"Content-Length: 50\r\n\r\n{", b"HTTP/1.1 2",
                       b"HTTP/1.1 200 OK\r\n" + FIELDS + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"):
            client = relay.client()
            client.send(NEXT)
            server = relay.accept()
            assert server.head() == NEXT
            server.send(answer)
            server.close()
            assert client.at_end()


def test_no_thread_stays_behind(place):
    with Relay(place) as relay:
        def threads():
            return len(os.listdir(f"/proc/{relay.process.pid}/task"))
        at_rest = threads()
        for _ in range(50):
            client = relay.client()
            client.send(NEXT)
            relay.accept()
        until(lambda: threads() == at_rest + 50, "a thread for each connection")
        for side in relay.kept:
            side.close()
        until(lambda: threads() == at_rest, "their end")


if __name__ == "__main__":
    main()
