"""Files as meters, loggers and markets export them, from the file to the grid; refusals are followed to their end."""

import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from unroll.errors import UserError
from unroll.pipelines.data.series.data import SeriesData, prepare
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.summary import further_summary
from unroll.pipelines.training.progress import Progress

HOURS = pd.date_range("2025-01-10", periods=240, freq="h")


def read(folder, text, encoding="utf-8", name="data.csv", **section):
    """The data, and what is said of it."""
    file, directory = folder / name, folder / f"prepared{len(list(folder.iterdir()))}"
    directory.mkdir()
    file.write_text(text, encoding=encoding)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepare(SeriesSection(**section), str(file), directory, Progress())
    data = SeriesData.load(directory)
    return data, further_summary({**data.dataset_info, "unseen_series": 0, "unknown_categories": 0})


def followed(folder, text, most=3, **section):
    """Follows the settings that refusals name, the first of several: data, what is said, and what was pasted."""
    pasted: list[str] = []
    for _ in range(most):
        try:
            return *read(folder, text, **section), pasted
        except UserError as refusal:
            (setting, *_) = re.findall(r"--set ('[^']*'|\S+?)(?=[.,;]? |[.,]?$)", str(refusal))
            pasted.append("".join(shlex.split(setting)))
            key, _, value = pasted[-1].partition("=")
            section[key.removeprefix("data.")] = yaml.safe_load(value) if len(value) > 1 else value
    return *read(folder, text, **section), pasted


def german(times, titles, header="Datum;Uhrzeit;Verbrauch [kWh];Status"):
    rows = [f"{time:%d.%m.%Y};{time:%H:%M};{300 + time.hour},5;W" for time in times]
    return "\n".join([*titles, header, *rows, ""])


TITLES = {
    "two and a blank line": ["Lastgang Zähler 4711", "Erstellt am 20.11.2025", ""],
    "one": ["Export"],
    "with a comma": ["Zähler 4711, Haus 3"],
    "names and values": ["Anlage;Haus 3", "Stand;20.11.2025", ""],
}


@pytest.mark.parametrize("titles", TITLES)
def test_titles_above_a_header_with_semicolons_lead_to_the_delimiter(tmp_path, titles):
    data, said, pasted = followed(tmp_path, german(HOURS, TITLES[titles]), time=["Datum", "Uhrzeit"])
    assert pasted == ["data.delimiter=;"]
    assert len(data.values) == 240
    assert data.values[1, 0] == 301.5
    assert "above the header, left out" in said


def test_the_columns_of_times_are_named_where_the_usual_name_is_not_there(tmp_path):
    _, _, pasted = followed(tmp_path, german(HOURS, ["Export"]))
    assert pasted == ["data.delimiter=;", "data.time=[Datum, Uhrzeit]"]
    table = "id,When was it,load\n" + "".join(f"a,{time:%d/%m/%Y %H:%M},{time.hour}\n" for time in HOURS)
    _, _, pasted = followed(tmp_path, table)
    assert pasted == ["data.time=When was it"]
    table = "Jahr,Monat,Tag,Stunde,Last\n" + "".join(f"{t.year},{t.month},{t.day},{t.hour},{t.hour}\n" for t in HOURS)
    _, _, pasted = followed(tmp_path, table)
    assert pasted == ["data.time=[Jahr, Monat, Tag, Stunde]"]


def test_a_column_of_numbers_alone_is_read_by_what_is_told(tmp_path):
    data, _, pasted = followed(tmp_path, "".join(f"{hour.hour}.25\n" for hour in HOURS))
    assert pasted == ["data.header=false", "data.time=null"]
    assert len(data.values) == 240


def logger(columns):
    """A file of Campbell's kind with so many columns, four lines above its records."""
    names = ["TIMESTAMP", "RECORD", *(f"V{number}" for number in range(columns - 2))]
    head = [
        '"TOA5","CR1000","CR1000","99","CR1000.Std.32","CPU:site.CR1","77","Table1"',
        ",".join(f'"{name}"' for name in names),
        ",".join(["TS", "RN", *["Deg C"] * (columns - 2)]),
        ",".join(["", "", *["Avg"] * (columns - 2)]),
    ]
    kept = [(number, time) for number, time in enumerate(HOURS) if number % 60 != 59]
    rows = [f'"{time:%Y-%m-%d %H:%M:%S}",{number + 17},' + ",".join(["15.25"] * (columns - 2)) for number, time in kept]
    return "\n".join([*head, *rows, ""])


@pytest.mark.parametrize("columns", [3, 8, 11])
def test_a_loggers_lines_above_its_records_are_left_out(tmp_path, columns):
    data, said = read(tmp_path, logger(columns), time="TIMESTAMP")
    assert data.dataset_info["targets"] == [f"V{number}" for number in range(columns - 2)]  # not the records' numbers
    assert data.dataset_info["gaps"] == 3
    assert "TS, RN, Deg C" in said


def test_periods_of_days_reach_the_grid(tmp_path):
    times = pd.date_range("2023-10-20", "2023-11-10", freq="30min", tz="Europe/London", inclusive="left")
    days = times.strftime("%d-%b-%Y").str.upper().to_series()
    table = pd.DataFrame({"DAY": days.to_numpy(), "SP": days.groupby(days).cumcount().to_numpy() + 1})
    table["ND"] = np.where(times.hour == 17, 2.0, 1.0)
    data, _, pasted = followed(tmp_path, table.to_csv(index=False), time=["DAY", "SP"])
    assert pasted == ["data.timezone=Europe/London"]
    assert data.frequency.name == "30min"
    assert (data.dataset_info["gaps"], data.start[0]) == (0, times[0].timestamp())
    shown = data.frequency.clock.local(data.start[0] + 1800 * np.flatnonzero(data.values[:, 0] == 2))
    assert set(shown % 86_400 // 3600) == {17}


def local(zone, begin, end):
    times = pd.date_range(begin, end, freq="h", tz=zone, inclusive="left").tz_localize(None)
    return "time,x\n" + "".join(f"{time:%Y-%m-%d %H:%M},{time.hour}\n" for time in times)


@pytest.mark.parametrize(("zone", "begin", "end"), [
    ("America/New_York", "2025-02-20", "2025-04-02"), ("Australia/Sydney", "2025-09-20", "2025-10-20"),
])  # fmt: skip
def test_an_hour_that_clocks_skipped_is_a_hint_at_their_zone(tmp_path, zone, begin, end):
    _, said = read(tmp_path, local(zone, begin, end))
    (named,) = re.findall(r"which clocks skipped in \S+ .*--set data\.timezone=(\S+)", said)
    data, said = read(tmp_path, local(zone, begin, end), timezone=named)
    assert data.dataset_info["gaps"] == 0
    assert "skipped" not in said
    rows = local(zone, begin, end).splitlines()
    _, said = read(tmp_path, "\n".join([*rows[:100], *rows[101:]]))  # a gap elsewhere, too
    assert named in said
    full = "time,x\n" + "".join(f"{time:%Y-%m-%d %H:%M},{time.hour}\n" for time in pd.date_range(begin, end, freq="h"))
    assert "skipped" not in read(tmp_path, full)[1]


def test_a_last_row_within_the_hour_that_comes_twice_is_told(tmp_path):
    text = local("Europe/Berlin", "2025-10-01", "2025-10-26 03:00")
    _, said = read(tmp_path, text.rpartition("2025-10-26 02:00")[0], timezone="Europe/Berlin")
    assert "1 row in an hour that comes twice as clocks are set back, such as 2025-10-26 02:00" in said
    assert "in an hour" not in read(tmp_path, text, timezone="Europe/Berlin")[1]


MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905
MOIS = "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.".split()  # noqa: SIM905
PARTS = {
    "months": ("Year", range(1990, 2020), MONTHS, ["Year", "month"], "1M"),
    "months of France": ("Année", range(1990, 2020), MOIS, ["Année", "month"], "1M"),
    "numbers of months": ("year", range(1990, 2020), list(map(str, range(1, 13))), ["year", "month"], "1M"),
    "quarters": ("Year", range(1950, 2020), ["Q1", "Q2", "Q3", "Q4"], ["Year", "quarter"], "1Q"),
    "hours": ("Date", HOURS[::24].date, [f"H{hour}" for hour in range(1, 25)], ["Date", "hour"], "1h"),
    "times of day": ("Date", HOURS[::24].date, [f"{hour:02}:00" for hour in range(24)], ["Date", "hour"], "1h"),
    "half hours": ("Date", HOURS[::24].date, [f"P{half}" for half in range(1, 49)], ["Date", "period"], "30min"),
}  # fmt: skip


def command_run(refusal):
    """What a refusal says to run, run as a shell would."""
    code = re.search(r'python -c "((?:[^"\\]|\\.)*)"', str(refusal))[1]
    code = re.sub(r'\\([$`"\\])', r"\1", code)
    exec(code, {})
    return Path(re.search(r"to_csv\('(.*?)'", code)[1])


@pytest.mark.parametrize("kind", PARTS)
def test_months_and_hours_as_columns_are_refused_with_a_command_that_makes_rows_of_them(tmp_path, kind):
    time, rows, parts, together, frequency = PARTS[kind]
    numbers = iter(range(10_000))
    lines = [";".join([str(row), *(f"{next(numbers)},5" for _ in parts)]) for row in rows]
    text = "\n".join(["A title", ";".join([time, *parts]), *lines, ""])
    stated = {"time": time, "delimiter": ";", "targets": None}
    with pytest.raises(UserError, match="are one column of numbers, one for each") as refusal:
        read(tmp_path, text, **stated)
    long = command_run(refusal.value).read_text()
    data, _ = read(tmp_path, long, time=together)
    assert f"--set 'data.time=[{', '.join(together)}]'" in str(refusal.value)
    assert data.frequency.name == frequency
    np.testing.assert_allclose(data.values[:, 0], np.arange(len(lines) * len(parts)) + 0.5)
    data, _ = read(tmp_path, text, **{**stated, "targets": parts})  # as they are
    assert data.values.shape == (len(rows), len(parts))


@pytest.mark.parametrize("times", [
    [str(year) for year in range(1990, 2020)],
    [f"{year} [YR{year}]" for year in range(1990, 2020)],
    [f"{month:%b %Y}" for month in pd.date_range("2015-01-01", periods=36, freq="MS")],
])  # fmt: skip
def test_a_table_on_its_side_is_refused_with_a_command_that_turns_it(tmp_path, times):
    rows = [",".join([f"C{row}", "x$", *(str(row + place) for place in range(len(times)))]) for row in range(4)]
    text = "\n".join([",".join(["Country", "$Unit", *times]), *rows, ""])
    turned = r"lies on its side.*--set data\.time=time --set data\.series=Country"
    with pytest.raises(UserError, match=turned) as refusal:
        read(tmp_path, text)
    data, _ = read(tmp_path, command_run(refusal.value).read_text(), series="Country")
    assert data.ids == ["C0", "C1", "C2", "C3"]
    assert data.values.shape == (4 * len(times), 1)


def test_the_zone_behind_local_times_is_the_clock_of_the_grid(tmp_path):
    times = pd.date_range("2025-03-20", "2025-04-10", freq="h", tz="Europe/Berlin")
    text = "time,x\n" + "".join(f"{time:%Y-%m-%d %H:%M} Europe/Berlin,{time.hour}\n" for time in times)
    data, said = read(tmp_path, text)
    assert (data.frequency.clock.name, data.dataset_info["gaps"]) == ("Europe/Berlin", 0)
    assert data.start[0] == times[0].timestamp()
    assert "read by the clock of Europe/Berlin" in said
