"""What is asked of the tables: plain pandas that does not know where they are from."""

from collections.abc import Callable

import pandas as pd

Get = Callable[[str], pd.DataFrame]
Question = Callable[[Get], pd.DataFrame]


def delay_by_carrier(get: Get) -> pd.DataFrame:
    """Mean delay at departure and arrival, latest first."""
    flights = get("flights").groupby("carrier")
    delays = flights[["dep_delay", "arr_delay"]].mean()
    delays["flights"] = flights.size()
    names = get("airlines").set_index("carrier")
    return delays.join(names).sort_values("arr_delay", ascending=False)


def busiest_routes(get: Get) -> pd.DataFrame:
    """The ten with the most flights, with the name of where they go."""
    routes = get("flights").groupby(["origin", "dest"]).size().rename("flights")
    top = routes.sort_values(ascending=False, kind="stable").head(10).reset_index()
    names = get("airports")[["faa", "name"]]
    return top.merge(names, left_on="dest", right_on="faa", how="left")


def delay_against_weather(get: Get) -> pd.DataFrame:
    """Mean delay at departure by the wind at the airport in that hour."""
    hours = get("flights").groupby(["origin", "time_hour"])["dep_delay"]
    delays = hours.agg(["sum", "count"]).reset_index()
    weather = get("weather")[["origin", "time_hour", "wind_speed"]]
    both = delays.merge(weather, on=["origin", "time_hour"])
    wind = pd.cut(both["wind_speed"], [-1, 5, 10, 15, 20, 30, 200])
    totals = both.groupby(wind, observed=True)[["sum", "count"]].sum()
    totals["mean"] = totals["sum"] / totals["count"]
    totals.index = totals.index.astype(str)
    return totals.reset_index()


def delay_by_age(get: Get) -> pd.DataFrame:
    """Mean delay at arrival by the year in which the plane was built."""
    flights = get("flights").groupby("tailnum")["arr_delay"].agg(["sum", "count"])
    planes = get("planes")[["tailnum", "year"]].set_index("tailnum")
    by_year = flights.join(planes, how="inner").groupby("year").sum()
    by_year["mean"] = by_year["sum"] / by_year["count"]
    return by_year


QUESTIONS: dict[str, Question] = {
    "delay by carrier": delay_by_carrier,
    "busiest routes": busiest_routes,
    "delay against weather": delay_against_weather,
    "delay by age of plane": delay_by_age,
}
