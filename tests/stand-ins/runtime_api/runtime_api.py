"""AWS Lambda's Runtime API for one function.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
`python3 runtime_api.py EVENT...` prints its address, answers `next` with each of the events (JSON),
and prints what was answered, a line each.
"""
import http.server
import json
import queue
import re
import sys
import threading
import time
import uuid

MOST_RESPONSE = 6291556


class Invocation:
    def __init__(self, event, seconds):
        self.id, self.event, self.seconds = str(uuid.uuid4()), event, seconds
        self.deadline = None
        self.status = None  # "response", "error", "killed"
        self.body = None
        self.error_type = None
        self.ended = threading.Event()

    def end(self, status, body=None, error_type=None):
        self.status, self.body, self.error_type = status, body, error_type
        self.ended.set()


class RuntimeApi:
    """Use it with `with`. kill: called when an invocation is late."""

    def __init__(self, kill=None):
        self.kill = kill
        self.most_response = MOST_RESPONSE
        self.asked_at = None  # by the monotonic clock
        self.waiting = queue.Queue()
        self.known = {}
        self.init_error = None
        self.next_calls = self.together = self.most_together = 0
        self.asked = threading.Event()  # next was called once
        self.failed_init = threading.Event()
        self.lock = threading.Lock()

    def __enter__(self):
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, body=b"{}", headers=()):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def do_GET(self):
                if self.path != "/2018-06-01/runtime/invocation/next":
                    self.reply(404)
                    return
                invocation = api.hand_out()
                if invocation is None:
                    self.close_connection = True
                    return
                self.reply(200, json.dumps(invocation.event).encode(), (
                    ("Lambda-Runtime-Aws-Request-Id", invocation.id),
                    ("Lambda-Runtime-Deadline-Ms", str(int(invocation.deadline * 1000))),
                    ("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
                    ("Lambda-Runtime-Invoked-Function-Arn",
                     "arn:aws:lambda:eu-west-1:123456789012:function:scanner")))

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.reply(*api.take(self.path, body, self.headers))

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a process that ended while it waited

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        for _ in range(70):
            self.waiting.put(None)
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def hand_out(self):
        with self.lock:
            self.next_calls += 1
        self.asked_at = self.asked_at or time.monotonic()
        self.asked.set()
        invocation = self.waiting.get()
        if invocation is None:
            return None
        with self.lock:
            invocation.deadline = time.time() + invocation.seconds
            self.known[invocation.id] = invocation
            self.together += 1
            self.most_together = max(self.together, self.most_together)
        threading.Thread(target=self.watch, args=(invocation,), daemon=True).start()
        return invocation

    def watch(self, invocation):
        if not invocation.ended.wait(invocation.deadline - time.time()):
            invocation.end("killed")
            if self.kill:
                self.kill()
        with self.lock:
            self.together -= 1

    def take(self, path, body, headers):
        """(status, answer)"""
        if path == "/2018-06-01/runtime/init/error":
            self.init_error = json.loads(body)
            self.failed_init.set()
            return 202, b"{}"
        match = re.fullmatch(r"/2018-06-01/runtime/invocation/([^/]+)/(response|error)", path)
        invocation = match and self.known.get(match[1])
        if not invocation:
            return 400, b'{"errorType":"InvalidRequestID"}'
        if invocation.ended.is_set():
            return 403, b'{"errorType":"InvalidStateTransition"}'
        if match[2] == "response" and len(body) > self.most_response:
            invocation.end("error", error_type="Function.ResponseSizeTooLarge")
            return 413, b'{"errorType":"RequestEntityTooLarge"}'
        invocation.end(match[2], json.loads(body),
                       headers.get("Lambda-Runtime-Function-Error-Type"))
        return 202, b"{}"

    def invoke(self, event, seconds=60):
        """The invocation, not yet ended."""
        invocation = Invocation(event, seconds)
        self.waiting.put(invocation)
        return invocation

    def call(self, event, seconds=60):
        """The same, ended."""
        invocation = self.invoke(event, seconds)
        if not invocation.ended.wait(seconds + 60):
            raise AssertionError("the function did not take the event")
        return invocation


def main():
    with RuntimeApi() as api:
        print(api.address, flush=True)
        for text in sys.argv[1:]:
            invocation = api.call(json.loads(text))
            print(invocation.status, json.dumps(invocation.body), flush=True)


if __name__ == "__main__":
    main()
