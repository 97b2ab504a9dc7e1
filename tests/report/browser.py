"""A headless chromium over its DevTools protocol, to look at a page as a reader does."""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


class Page:
    """One tab; `told` are its console lines and errors, `asked` the addresses it requested."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.told, self.asked, self._last = socket, [], [], 0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params):
        self._last += 1
        self.socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while (answer := self._read()).get("id") != self._last:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def open(
        self, path: Path, width: int, height: int = 800, *, scheme: str = "light", scripts: bool = True
    ) -> None:
        self.told.clear()
        self.asked.clear()
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=path.as_uri())
        while self._read().get("method") != "Page.loadEventFired":
            pass

    def value(self, script: str):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """The whole page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def _read(self) -> dict:
        message = json.loads(self.socket.recv(timeout=60))
        params = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded":
                self.told.append(params)
        return message


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    command = [str(CHROMIUM), *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            port = profile / "DevToolsActivePort"
            end = time.monotonic() + 60
            while not (port.exists() and len(port.read_text().split()) == 2):
                assert process.poll() is None, f"chromium ended with {process.returncode}"
                assert time.monotonic() < end, "chromium did not start"
                time.sleep(0.05)
            number, path = port.read_text().split()
            with connect(f"ws://127.0.0.1:{number}{path}", max_size=None) as socket:
                target = _target(socket)
            with connect(f"ws://127.0.0.1:{number}/devtools/page/{target}", max_size=None) as socket:
                yield Page(socket)
        finally:
            process.terminate()
            process.wait(20)


def _target(socket: ClientConnection) -> str:
    socket.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
    while (answer := json.loads(socket.recv(timeout=60))).get("id") != 1:
        pass
    return next(t["targetId"] for t in answer["result"]["targetInfos"] if t["type"] == "page")
