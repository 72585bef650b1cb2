"""A proxy before a server of S3 that misbehaves.

A rule is (method, part of the target, how often, behaviour); the first that fits is used up. What a
behaviour is:
    "slow_down"   503 SlowDown          "expired"   400 ExpiredToken
    "cut"         half of the body, then the connection ends in good order
    "reset"       half of the body, then a reset
    "longer"      another Content-Length and body than the object's, in good order
    "whole"       200 with the whole object where a range was asked for
    "error_200"   200 with an error in it
    "stall"       half of the body, then nothing more until the stand-in ends
    "denied"      403 AccessDenied      "archived"  403 InvalidObjectState
    a function    called before the request goes on, with nothing
`python3 bad_s3.py URL` prints its own URL and serves until its standard input ends.
"""
import http.client
import http.server
import socket
import struct
import sys
import threading
import urllib.parse

ERRORS = {"slow_down": (503, "SlowDown"), "expired": (400, "ExpiredToken"),
          "denied": (403, "AccessDenied"), "archived": (403, "InvalidObjectState"),
          "error_200": (200, "InternalError")}


class BadS3:
    """Use it with `with`."""

    def __init__(self, url):
        self.behind = urllib.parse.urlsplit(url).netloc
        self.rules = []
        self.used = []
        self.requests = []
        self.lock = threading.Lock()
        self.over = threading.Event()

    def rule(self, method, target, times, behaviour):
        with self.lock:
            self.rules.append([method, target, times, behaviour])

    def find(self, method, target):
        with self.lock:
            self.requests.append((method, target))
            for rule in self.rules:
                if rule[2] > 0 and rule[0] == method and rule[1] in target:
                    rule[2] -= 1
                    self.used.append(rule[3])
                    return rule[3]
        return None

    def __enter__(self):
        bad = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def forward(self, body, drop=()):
                connection = http.client.HTTPConnection(bad.behind, timeout=60)
                headers = {name: value for name, value in self.headers.items()
                           if name.lower() not in ("connection", *drop)}
                connection.request(self.command, self.path, body or None, headers)
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                return answer, content

            def head_of(self, answer, length):
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "connection", "transfer-encoding",
                                            "server", "date"):
                        self.send_header(name, value)
                self.send_header("Content-Length", length)
                self.end_headers()

            def say_error(self, behaviour):
                status, code = ERRORS[behaviour]
                body = f"<Error><Code>{code}</Code><Message>x</Message></Error>".encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                behaviour = bad.find(self.command, self.path)
                if callable(behaviour):
                    behaviour()
                    behaviour = None
                if behaviour in ERRORS:
                    self.say_error(behaviour)
                    return
                answer, content = self.forward(body, ("range",) if behaviour == "whole" else ())
                if behaviour == "longer":
                    content += b"more"
                length = answer.getheader("Content-Length") if self.command == "HEAD" \
                    else str(len(content))
                self.head_of(answer, length or "0")
                if self.command == "HEAD":
                    return
                if behaviour not in ("cut", "reset", "stall"):
                    self.wfile.write(content)
                    return
                self.wfile.write(content[:len(content) // 2])
                self.wfile.flush()
                self.close_connection = True
                if behaviour == "stall":
                    bad.over.wait()
                elif behaviour == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                               struct.pack("ii", 1, 0))

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = serve

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a client that has had enough

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def main():
    with BadS3(sys.argv[1]) as bad:
        print(bad.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
