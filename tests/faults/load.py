"""Files that are written while things break; remembers every one."""

import contextlib
import os
import threading

from pair import agents

MALICIOUS = 5  # every so manieth
PACE_SECONDS = 0.02


class Load:
    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.Lock()
        self.number = 0
        self.bad, self.good = [], []
        self.pause = threading.Lock()

    def one(self):
        with self.lock:
            number = self.number
            self.number += 1
        folder = os.path.join(self.folder, f"d{number // 50}")
        os.makedirs(folder, exist_ok=True)
        malicious = number % MALICIOUS == 0
        path = os.path.join(folder, f"{'bad' if malicious else 'good'}{number}")
        content = agents.EICAR if malicious else agents.CLEAN + b"%d" % number
        (self.bad if malicious else self.good).append(agents.put(path, content))

    def write(self, count):
        for _ in range(count):
            self.one()

    def written(self):
        return list(self.bad), list(self.good)

    @contextlib.contextmanager
    def running(self):
        """Goes on in the background meanwhile."""
        stop = threading.Event()

        def work():
            while not stop.wait(PACE_SECONDS):
                with self.pause:
                    self.one()
        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
