# What answers in the kernel lab. Every argument is a port, or the name of a file that maps paths to texts.
#
# With ports only: an internet that answers every request with the address it saw. With a file: the instance metadata
# service of the host under test; the file is read anew for each question. Ends when its standard input does, so that
# it never outlives the test.
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FILES = [argument for argument in sys.argv[1:] if not argument.isdigit()]


class Answer(BaseHTTPRequestHandler):
    def answer(self):
        status, text = 200, self.client_address[0]
        if FILES:
            with open(FILES[0]) as file:
                known = json.load(file)
            path = self.path.rstrip("/")
            if self.command == "PUT" and path == "/latest/api/token":
                text = "token"
            elif self.headers.get("X-aws-ec2-metadata-token") != "token":
                status, text = 401, "Unauthorized"
            elif path in known:
                text = known[path]
            else:
                status, text = 404, "Not Found"
        elif self.path == "/large":
            text = " " * 50000 + text
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = answer

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def server_bind(self):
        # The base class would ask the name server for the host's name.
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "outside", self.server_address[1]


for port in [argument for argument in sys.argv[1:] if argument.isdigit()]:
    server = Server(("0.0.0.0", int(port)), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
os._exit(0)
