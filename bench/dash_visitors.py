"""What one visitor of the explorer does, for locust; see dash_users.py, which starts it.

Whatever is refused, or comes back empty, is a failure of the request.
"""

import json
import random
from typing import Any

from locust import HttpUser, between, task

CARRIERS = ["UA", "B6", "EV", "DL", "AA"]
ORIGINS = ["EWR", "JFK", "LGA"]
SORTS = ["dep_delay", "distance", "leaves"]


def prop(id: str, name: str, value: Any) -> dict[str, Any]:
    return {"id": id, "property": name, "value": value}


class Visitor(HttpUser):
    wait_time = between(0.5, 2)

    def on_start(self) -> None:
        self.token = ""
        with self.client.get("/", name="page", catch_response=True) as got:
            if "framecache_session" not in self.client.cookies:
                got.failure("no session cookie")
        self.choose()

    def callback(self, name: str, outputs: list[str], inputs: list[Any]) -> Any:
        """The response to a callback by component and property; None if it failed."""
        listed = [
            dict(zip(("id", "property"), o.split("."), strict=True)) for o in outputs
        ]
        many = len(outputs) > 1
        body = {
            "output": f"..{'...'.join(outputs)}.." if many else outputs[0],
            "outputs": listed if many else listed[0],
            "inputs": inputs,
            "changedPropIds": [f"{i['id']}.{i['property']}" for i in inputs],
        }
        with self.client.post(
            "/_dash-update-component", json=body, name=name, catch_response=True
        ) as got:
            if got.status_code != 200:
                got.failure(f"status {got.status_code}")
                return None
            told = got.json()["response"]
            values = [told.get(o["id"], {}).get(o["property"]) for o in listed]
            if any(value is None for value in values):
                got.failure("None")
                return None
            return values

    @task(1)
    def choose(self) -> None:
        first = random.randint(1, 12)
        got = self.callback(
            "choose",
            ["selection.data"],
            [
                prop("carriers", "value", random.sample(CARRIERS, 1)),
                prop("origins", "value", ORIGINS),
                prop("months", "value", [first, random.randint(first, 12)]),
            ],
        )
        if got:
            self.token = got[0]

    @task(3)
    def summarise(self) -> None:
        if self.token:
            outputs = ["numbers.children", "by-hour.figure", "by-airline.figure"]
            self.callback("summarise", outputs, [prop("selection", "data", self.token)])

    @task(6)
    def scroll(self) -> None:
        first = random.randrange(0, 3000) * 100
        request = {
            "startRow": first,
            "endRow": first + 100,
            "sortModel": [{"colId": random.choice(SORTS), "sort": "desc"}],
            "filterModel": {},
        }
        outputs = ["grid.getRowsResponse", "grid-note.children"]
        self.callback("scroll", outputs, [prop("grid", "getRowsRequest", request)])

    @task(2)
    def draw(self) -> None:
        if not self.token:
            return
        asked = {
            "columns": ["leaves", "dep_delay"],
            "downsample": {"x": "leaves", "y": "dep_delay", "points": 2000},
        }
        with self.client.get(
            "/_framecache",
            params={"token": self.token, "q": json.dumps(asked)},
            name="arrow",
            catch_response=True,
        ) as got:
            if got.status_code != 200 or len(got.content) < 500:
                got.failure(f"status {got.status_code}, {len(got.content)} bytes")
