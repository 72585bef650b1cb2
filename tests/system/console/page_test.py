"""How the console serves the web page's files. What the page does is tested in tests/system/page."""

import gzip
import os
import re

import harness
from harness import Console, ConsoleTest

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
WEB = os.path.join(SOURCE, "console/web")


class PageTest(ConsoleTest):
    settings = f'web = "{WEB}";\n'

    def setUp(self):
        self.client = self.console.api()  # nobody is signed in

    def tearDown(self):
        self.client.close()

    def test_start_page_and_headers(self):
        answer = self.client.get("/", expect=200)
        self.assertEqual(answer.headers["Content-Type"], "text/html; charset=utf-8")
        self.assertEqual(answer.body, harness.read(WEB + "/index.html").encode())
        policy = answer.headers["Content-Security-Policy"]
        for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'",
                     "require-trusted-types-for 'script'"):
            self.assertIn(part, policy)
        self.assertNotIn("unsafe", policy)
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(answer.headers.get_all("Cache-Control"), ["no-cache"])

    def test_every_file_that_a_file_names(self):
        page = harness.read(WEB + "/index.html")
        for name in re.findall(r'(?:src|href)="([^"]+)"', page):
            self.client.get("/" + name, expect=200)
        seen, waiting = set(), ["app/main.js"]
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            answer = self.client.get("/" + name, expect=200)
            self.assertEqual(answer.headers["Content-Type"], "text/javascript; charset=utf-8")
            for other in re.findall(r'(?:from|import)\s*\(?"(\.[^"]+)"', answer.body.decode()):
                waiting.append(os.path.normpath(os.path.join(os.path.dirname(name), other)))
        self.assertGreater(len(seen), 20)

    def test_compressed_and_cached(self):
        plain = self.client.get("/vendor/vendor.js", expect=200)
        packed = self.client.get("/vendor/vendor.js", expect=200, Accept_Encoding="gzip, br")
        self.assertEqual(packed.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        tag = plain.headers["ETag"]
        again = self.client.get("/vendor/vendor.js", expect=304, If_None_Match=tag)
        self.assertEqual(again.body, b"")
        self.client.get("/vendor/vendor.js", expect=200, If_None_Match='"other"')

    def test_the_page_stays_small(self):
        total = 0
        for folder, folders, names in os.walk(WEB):
            if "node_modules" in folders:
                folders.remove("node_modules")
            for name in names:
                if name.endswith((".html", ".css", ".js", ".svg", ".json")) and name not in (
                        "package.json", "package-lock.json", "build_vendor.js"):
                    path = os.path.relpath(os.path.join(folder, name), WEB).replace("index.html", "")
                    total += len(self.client.get(f"/{path}", expect=200, Accept_Encoding="gzip").body)
        self.assertLess(total, 150_000, "all files of the page, compressed")

    def test_scripts_leave_their_comments_at_home(self):
        served = self.client.get("/app/main.js", expect=200).body.decode()
        source = harness.read(WEB + "/app/main.js")
        self.assertRegex(source, "(?m)^ *(// |/\\*)")
        self.assertNotRegex(served, "(?m)^ *(// |/\\*)")
        self.assertEqual(re.sub(r"(?m)^[ \t]*(// .*|/\*(?s:.*?)\*/[ \t]*)\n", "", source), served)

    def test_nothing_else_is_served(self):
        for path in ("/README.md", "/app/none.js", "/vendor/build.js.map", "/app/../README.md",
                     "/app/%2e%2e/README.md", "/package.json", "/app/pages", "/i18n/"):
            answer = self.client.get(path)
            self.assertIn(answer.status, (400, 404), path)
        self.client.request("POST", "/", b"{}", expect=405)


class NoPageTest(ConsoleTest):
    settings = 'web = "/nonexistent/yagura";\n'

    def test_api_works_without_the_page(self):
        answer = self.console.api().get("/", expect=404)
        self.assertIn("setting web", answer.json["detail"])
        self.admin.get("/api/v1/overview", expect=200)
        self.assertIn("no_web_page", "".join(self.console.log))


if __name__ == "__main__":
    harness.main()
