"""Raw bytes against the guard layer: what a smuggler would send through a lenient front proxy."""

import re

import harness
from harness import ConsoleTest

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def answers(received):
    """How many requests were answered. The library's own refusals (it sees a broken Content-Length
    before us) come with their head written twice over TLS: a flaw of 0.9.75, but no second answer."""
    heads = re.findall(rb"(HTTP/1\.1 [0-9]{3} [^\r]*\r\n.*?)\r\n\r\n", received, re.S)
    if len(heads) == 2 and heads[0] == heads[1] and heads[0].startswith(b"HTTP/1.1 4"):
        return 1
    return len(heads)


class GuardTest(ConsoleTest):
    def check(self, data, status, code=None, port=None):
        """One answer with this status, and the connection is closed: what follows is never read."""
        received = self.console.raw(data + SMUGGLED, port)
        self.assertTrue(received.startswith(b"HTTP/1.1 %d " % status), received[:300])
        self.assertEqual(answers(received), 1, received)
        self.assertNotIn(b"no_such_path", received)
        if code:
            self.assertIn(b"\r\nContent-Type: application/problem+json\r\n", received)
            self.assertIn(b'"code":"' + code.encode() + b'"', received)

    def test_takes_a_plain_request(self):
        received = self.console.raw(HEALTH + b"Connection: close\r\n\r\n")
        self.assertTrue(received.startswith(b"HTTP/1.1 200 "), received)
        self.assertIn(b"nosniff", received)

    def test_keeps_connections(self):
        received = self.console.raw(HEALTH + b"\r\n" + HEALTH + b"Connection: close\r\n\r\n")
        self.assertEqual(received.count(b"HTTP/1.1 200 "), 2)

    def test_two_lengths(self):
        self.check(HEALTH + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
                   "two_lengths")
        self.check(HEALTH + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400,
                   "two_lengths")

    def test_repeated_headers(self):
        for header in (b"Content-Length: 0", b"Host: localhost", b"Transfer-Encoding: chunked",
                       b"Authorization: Bearer a", b"Content-Type: text/plain",
                       b"Expect: 100-continue"):
            line = header + b"\r\n"
            self.check(HEALTH + line + line + b"\r\n", 400, "repeated_header")
        self.check(HEALTH + b"Content-Length: 0\r\ncontent-length: 5\r\n\r\nhello", 400,
                   "repeated_header")

    def test_transfer_encoding_is_not_taken(self):
        for value in (b"chunked", b"identity", b"gzip, chunked", b"xchunked", b"chunked\x0b"):
            data = self.console.raw(HEALTH + b"Transfer-Encoding: " + value +
                                    b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + SMUGGLED)
            self.assertRegex(data, rb"^HTTP/1\.1 4(00|11) ")
            self.assertEqual(answers(data), 1)

    def test_odd_content_lengths(self):
        for value in (b"+5", b"-1", b"5 5", b"5, 5", b"0x5", b"05", b"", b"5a",
                      b"99999999999999999999999"):
            data = self.console.raw(HEALTH + b"Content-Length: " + value + b"\r\n\r\nhello" +
                                    SMUGGLED)
            self.assertRegex(data, rb"^HTTP/1\.1 4(00|13) ", value)
            self.assertEqual(answers(data), 1, value)

    def test_body_without_length(self):
        self.check(b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\n\r\n", 411,
                   "length_required")

    def test_body_over_the_routes_limit(self):
        self.check(b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\n"
                   b"Content-Length: 16385\r\n\r\n", 413, "body_too_large")
        self.check(HEALTH + b"Content-Length: 1\r\n\r\nx", 413, "body_too_large")
        self.check(b"POST /agent/v1/heartbeat HTTP/1.1\r\nHost: localhost\r\n"
                   b"Content-Length: 1048577\r\n\r\n", 413, "body_too_large",
                   self.console.agents_port)

    def test_large_head(self):
        received = self.console.raw(HEALTH + b"X: " + b"a" * 20000 + b"\r\n\r\n" + SMUGGLED)
        self.assertTrue(received.startswith(b"HTTP/1.1 431 "), received[:100])
        self.assertEqual(answers(received), 1)
        self.check(HEALTH + b"".join(b"X%d: a\r\n" % i for i in range(64)) + b"\r\n", 431,
                   "too_many_headers")

    def test_an_agents_head_is_shorter(self):
        head = b"GET /agent/v1/policy HTTP/1.1\r\nHost: localhost\r\n"
        for length, status in ((7000, b"401"), (9000, b"431")):
            received = self.console.raw(head + b"X: " + b"a" * length + b"\r\n\r\n" + SMUGGLED,
                                        self.console.agents_port)
            self.assertTrue(received.startswith(b"HTTP/1.1 " + status), received[:100])

    def test_hosts(self):
        self.check(b"GET /health HTTP/1.1\r\n\r\n", 400)
        for host in (b"evil.test", b"localhost.evil.test", b"localhost:80:80", b"localhost:",
                     b"localhost:x", b"user@localhost", b"[::1", b"localhost, evil"):
            self.check(b"GET /health HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", 400, "host_unknown")
        for host in (b"LOCALHOST", b"console.test", b"127.0.0.1:4119", b"[::1]:443", b"[::1]"):
            received = self.console.raw(b"GET /health HTTP/1.1\r\nHost: " + host +
                                        b"\r\nConnection: close\r\n\r\n")
            self.assertTrue(received.startswith(b"HTTP/1.1 200 "), host)

    def test_lines_that_the_library_mends(self):
        for head in (
            b"GET /health HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",           # bare LF
            b"GET /health HTTP/1.1\nHost: localhost\n\n",                       # only LF
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",   # folded
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",      # NUL
            b"GET /health HTTP/1.1\r\nHost: localhost\0.evil\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nX : a\r\n\r\n",        # blank before colon
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nX:  a\r\n\r\n",        # two blanks
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nX:a\r\n\r\n",          # none
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a \r\n\r\n",        # behind
            b"GET  /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /health  HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n",           # bare CR
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\x07b\r\n\r\n",    # control byte
            b"GET /health\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ):
            received = self.console.raw(head + SMUGGLED)
            self.assertNotIn(b"HTTP/1.1 200 ", received, head)
            self.assertNotIn(b"no_such_path", received, head)
            self.assertLessEqual(answers(received), 1, head)

    def test_a_hidden_length_never_yields_a_second_request(self):
        """Each mend that could change where a body ends."""
        body = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        for line in (b"Content-Length: %d\n", b"Content-Length : %d\r\n",
                     b"Content-Length\0: %d\r\n", b"X: y\r\n Content-Length: %d\r\n",
                     b"X: y\nContent-Length: %d\r\n", b"\0Content-Length: %d\r\n",
                     b"Content-Length:\x0b%d\r\n", b"Content-Length: %d\0 0\r\n"):
            head = (b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\n" + line % len(body) +
                    b"\r\n")
            received = self.console.raw(head + body)
            self.assertLessEqual(answers(received), 1, line)
            self.assertNotIn(b"no_such_path", received, line)

    def test_other_versions(self):
        self.check(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n", 505, "version_unsupported")
        for line in (b"GET /health\r\n\r\n", b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n",
                     b"GET /health HTTP/1.1x\r\nHost: localhost\r\n\r\n"):
            received = self.console.raw(line + SMUGGLED)
            self.assertNotIn(b"HTTP/1.1 200 ", received)
            self.assertLessEqual(answers(received), 1, line)

    def test_methods_and_paths(self):
        received = self.console.raw(b"DELETE /health HTTP/1.1\r\nHost: localhost\r\n"
                                    b"Connection: close\r\n\r\n")
        self.assertTrue(received.startswith(b"HTTP/1.1 405 "), received)
        self.assertIn(b"Allow: GET\r\n", received)
        for path in (b"/health/", b"//health", b"/%68ealth", b"/./health", b"/api/v1/../../health",
                     b"/"):
            received = self.console.raw(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n"
                                        b"Connection: close\r\n\r\n")
            self.assertTrue(received.startswith(b"HTTP/1.1 404 "), path)

    def test_each_port_has_its_own_routes(self):
        for path, port in ((b"/api/v1/session", self.console.agents_port), (b"/metrics", self.console.agents_port),
                           (b"/agent/v1/policy", self.console.people_port), (b"/agent/v1/wait", None)):
            received = self.console.raw(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                                        port)
            self.assertTrue(received.startswith(b"HTTP/1.1 404 "), path)


if __name__ == "__main__":
    harness.main()
