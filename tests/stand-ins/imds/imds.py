"""The metadata of an EC2 instance, version 2 only. `python3 imds.py` serves the defaults."""
import http.server
import json
import secrets
import threading
import time


def credentials(key, secret, token="", seconds=3600):
    """The document of a role; seconds until they expire."""
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    return json.dumps({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": key,
                       "SecretAccessKey": secret, "Token": token, "Expiration": expires})


class Imds:
    """Use it with `with`. Attributes may change while it runs."""

    def __init__(self):
        self.role = None         # a name; None = the instance has no role
        self.document = ""       # of the role
        self.region = "eu-west-1"
        self.instance_id = "i-0123456789abcdef0"
        self.identity = None     # (document, rsa2048)
        self.off = False
        self.hop_limit_1 = False
        self.refused = 0         # requests without a valid token
        self.tokens = set()
        self.held = []           # answers that never arrive
        self.ended = threading.Event()

    def texts(self):
        texts = {"meta-data/placement/region": self.region,
                 "meta-data/instance-id": self.instance_id}
        if self.role:
            texts["meta-data/iam/security-credentials/"] = self.role
            texts[f"meta-data/iam/security-credentials/{self.role}"] = self.document
        if self.identity:
            texts["dynamic/instance-identity/document"] = self.identity[0]
            texts["dynamic/instance-identity/rsa2048"] = self.identity[1]
        return texts

    def __enter__(self):
        imds = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One request."""

            def answer(self, status, text=""):
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_PUT(self):  # pylint: disable=invalid-name
                if imds.off:
                    return self.answer(403)
                if imds.hop_limit_1:
                    imds.ended.wait()
                    self.close_connection = True
                    return None
                life = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
                if self.path != "/latest/api/token" or not life.isdigit():
                    return self.answer(400)
                token = secrets.token_urlsafe(40)
                imds.tokens.add(token)
                return self.answer(200, token)

            def do_GET(self):  # pylint: disable=invalid-name
                if imds.off:
                    return self.answer(403)
                if self.headers.get("X-aws-ec2-metadata-token") not in imds.tokens:
                    imds.refused += 1
                    return self.answer(401)
                text = imds.texts().get(self.path.removeprefix("/latest/"))
                return self.answer(404) if text is None else self.answer(200, text)

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


if __name__ == "__main__":
    with Imds() as served:
        print(served.url, flush=True)
        served.thread.join()
