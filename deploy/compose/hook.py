"""Prints each alert that Alertmanager sends: a stand-in for a pager."""

import argparse
import json
from http.server import BaseHTTPRequestHandler, HTTPServer


class Hook(BaseHTTPRequestHandler):
    """Takes messages in the form of Alertmanager's webhook."""

    def do_POST(self) -> None:
        """Print a line per alert."""
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in message["alerts"]:
            print(alert["status"], alert["labels"]["severity"], alert["annotations"]["summary"], flush=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=9095)
    HTTPServer(("", parser.parse_args().port), Hook).serve_forever()
