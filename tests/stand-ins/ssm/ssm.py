"""GetParameters of AWS Systems Manager, limited and with a clock of its own.

`python3 ssm.py RATE NAME=VALUE...` prints its URL, serves until its standard input ends, and then
prints how many requests it answered and how many it throttled, as JSON.
"""
import calendar
import email.utils
import http.server
import json
import sys
import threading
import time


class Bucket:
    """A token bucket, full at first. Thread-safe."""

    def __init__(self, rate):
        self.rate, self.left, self.at = rate, float(rate), time.monotonic()
        self.lock = threading.Lock()

    def take(self):
        with self.lock:
            now = time.monotonic()
            self.left = min(self.rate, self.left + (now - self.at) * self.rate)
            self.at = now
            if self.left < 1:
                return False
            self.left -= 1
            return True


class Ssm:
    """Use it with `with`. rate: requests a second; 0 = unlimited."""

    def __init__(self, parameters=None, rate=0):
        self.parameters = dict(parameters or {})
        self.bucket = Bucket(rate) if rate else None
        self.clock_offset = 0
        self.answered = self.throttled = self.refused = 0
        self.lock = threading.Lock()

    def count(self, name):
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)

    def judge(self, headers, body):
        """(status, answer)."""
        if self.bucket and not self.bucket.take():
            self.count("throttled")
            return 400, {"__type": "ThrottlingException", "message": "Rate exceeded"}
        date = headers.get("X-Amz-Date", "")
        try:
            sent = calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
        except ValueError:
            sent = 0
        if abs(sent - (time.time() + self.clock_offset)) > 300:
            self.count("refused")
            return 400, {"__type": "InvalidSignatureException",
                         "message": f"Signature expired: {date} is now earlier than the limit"}
        if headers.get("X-Amz-Target") != "AmazonSSM.GetParameters":
            return 400, {"__type": "UnknownOperationException"}
        names = json.loads(body)["Names"]
        self.count("answered")
        return 200, {"Parameters": [{"Name": name, "Type": "SecureString", "Version": 1,
                                     "Value": self.parameters[name]}
                                    for name in names if name in self.parameters],
                     "InvalidParameters": [name for name in names if name not in self.parameters]}

    def __enter__(self):
        ssm = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One connection."""
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, answer = ssm.judge(self.headers, body)
                text = json.dumps(answer).encode()
                self.send_response_only(status)
                self.send_header("Date", email.utils.formatdate(time.time() + ssm.clock_offset,
                                                                usegmt=True))
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        class Server(http.server.ThreadingHTTPServer):
            """Many at once."""
            daemon_threads = True
            request_queue_size = 1024

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


if __name__ == "__main__":
    with Ssm(dict(word.split("=", 1) for word in sys.argv[2:]), int(sys.argv[1])) as served:
        print(served.url, flush=True)
        sys.stdin.read()
        print(json.dumps({"answered": served.answered, "throttled": served.throttled}))
