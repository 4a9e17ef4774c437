"""What Dash's renderer does, without a browser: pages, cookies and callbacks."""

import json
import secrets
from typing import Any

import dash


def _spec(name: str) -> dict[str, Any]:
    component, _, name = name.rpartition(".")
    return {
        "id": json.loads(component) if component.startswith("{") else component,
        "property": name,
    }


def _given(name: str, value: Any) -> Any:
    """A component's value, or those of all that match: a list of (id, value)."""
    if isinstance(value, All):
        return [
            {"id": one, "property": name.rpartition(".")[2], "value": item}
            for one, item in value.items
        ]
    return {**_spec(name), "value": value}


class All:
    """The values of the components that match a pattern."""

    def __init__(self, *items: tuple[dict[str, Any], Any]) -> None:
        self.items = items


class Failed(Exception):
    """The callback did not answer with 200 or 204."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Tab:
    """A page that a browser has loaded; with `of`, another tab of the same browser."""

    def __init__(
        self, app: dash.Dash, of: "Tab | None" = None, visit: bool = True
    ) -> None:
        self.app = app
        self.client = app.server.test_client() if of is None else of.client
        self.page = secrets.token_hex(8)
        app.server.config["PROPAGATE_EXCEPTIONS"] = True
        if visit:
            self.client.get("/")
            self.client.get("/_dash-layout")

    @property
    def cookie(self) -> str | None:
        found = self.client.get_cookie("framecache_session")
        return None if found is None else found.value

    def body(
        self,
        output: str,
        inputs: dict[str, Any],
        states: dict[str, Any] | None = None,
        outputs: Any = None,
        changed: list[str] | None = None,
    ) -> dict[str, Any]:
        names = [name for name in output.strip(".").split("...") if name]
        specs = [_spec(name) for name in names]
        if outputs is None:
            outputs = specs if output.startswith("..") else specs[0] if specs else None
        return {
            "output": output,
            "outputs": outputs,
            "inputs": [_given(name, value) for name, value in inputs.items()],
            "state": [_given(name, value) for name, value in (states or {}).items()],
            "changedPropIds": list(inputs)[:1] if changed is None else changed,
        }

    def fire(self, output: str, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Run a callback; the whole of its answer, or None for no update."""
        reply = self.client.post(
            f"/_dash-update-component?endId={self.page}",
            json=self.body(output, inputs, *args, **kwargs),
        )
        if reply.status_code == 204:
            return None
        if reply.status_code != 200:
            raise Failed(reply.status_code, reply.get_data(as_text=True))
        return json.loads(reply.get_data(as_text=True))

    def get(self, output: str, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Run a callback of one output; its new value."""
        answer = self.fire(output, inputs, *args, **kwargs)["response"]
        ((_, properties),) = answer.items()
        ((_, value),) = properties.items()
        return value
