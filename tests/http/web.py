"""A web server on 127.0.0.1 that serves images well and badly, and remembers what was asked of it."""
import http.server
import threading
import time

import server

SLOW = 25  # seconds, longer than the patience of the server under test


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        name, _, rest = self.path.lstrip("/").partition("/")
        try:
            getattr(self, name.replace("-", "_").split("?")[0], self.missing)(rest)
        except OSError:
            pass  # the other side left, as it should

    def answer(self, status, data=b"", **headers):
        self.send_response(status)
        headers = {"content_length": len(data), **headers}
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(data)

    def missing(self, _):
        self.answer(404, b"nothing")

    def image(self, _):
        self.answer(200, server.IMAGES[0].read_bytes(), content_type="image/png")

    def mislabelled(self, _):
        self.answer(200, server.IMAGES[0].read_bytes(), content_type="text/html")

    def page(self, _):
        self.answer(200, b"<html>password: hunter2</html>", content_type="image/png")

    def empty(self, _):
        self.answer(200)

    def failing(self, _):
        self.answer(500, b"password: hunter2")

    def redirect(self, rest):
        left = int(rest)
        self.answer(302, location=f"/redirect/{left - 1}" if left > 1 else "/image")

    def loop(self, _):
        self.answer(302, location="/loop")

    def nowhere(self, _):
        self.answer(302)

    def to(self, rest):
        self.answer(302, location=rest)

    def declared(self, _):
        """Says that it is huge."""
        self.send_response(200)
        self.send_header("content-length", str(1 << 40))
        self.end_headers()
        self.wfile.write(b"x" * 1000)
        time.sleep(SLOW)

    def endless(self, _):
        """Never says how large it is, and does not stop."""
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 65536)
            self.server.sent += 65536

    def drip(self, _):
        """A byte now and then."""
        self.send_response(200)
        self.end_headers()
        for _ in range(SLOW * 4):
            self.wfile.write(b"x")
            time.sleep(0.25)

    def silent(self, _):
        time.sleep(SLOW)

    def late(self, rest):
        time.sleep(10)
        self.image(rest)

    def cut(self, _):
        """Half of what was announced."""
        data = server.IMAGES[0].read_bytes()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True


class Web(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.sent = [], 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path="", host="127.0.0.1"):
        return f"http://{host}:{self.server_port}/{path}"
