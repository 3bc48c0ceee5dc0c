"""The loopback server of tests/wandb, as a process that can be killed and started again."""

import atexit
import json
import os
import socket
import subprocess
import time
import urllib.request

KEY = "5e5a3e5e5a3e5e5a3e5e5a3e5e5a3e5e5a3e5e5a"


class Server:
    def __init__(self, binary):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.binary, self.url = binary, f"http://{self.address}"
        self.start()
        atexit.register(self.kill)

    def start(self):
        command = [self.binary, "--ignored", "--exact", "wandb::server::serve"]
        env = {**os.environ, "WANDB_TEST_ADDRESS": self.address, "WANDB_TEST_STORE": "store.json"}
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                return self.state()
            except OSError:
                assert self.process.poll() is None, "the server ended"
                time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def state(self):
        with urllib.request.urlopen(f"{self.url}/state", timeout=60) as answer:
            return json.load(answer)

    def faults(self, names):
        urllib.request.urlopen(f"{self.url}/faults", json.dumps(names).encode(), timeout=60).close()

    def run(self, name):
        """The run of this shown name, after a look for breaches of the protocol."""
        state = self.state()
        assert not state["violations"], state["violations"][:3]
        found = [run for run in state["runs"].values() if run["displayName"] == name]
        assert len(found) == 1, f"{len(found)} runs named {name}"
        return found[0]
