"""A small shop: hourly sales with a column that is known beforehand, and one that is not."""

import numpy as np
import pandas as pd

# The overrides that read it from shop.csv.
COLUMNS = ["data=series_csv", "data.root=shop.csv", "data.datetime_column=time"]
COLUMNS += ["data.value_column=sold", "data.input_columns=[price,visits]", "data.known=[price]"]


def shop(hours: int = 700) -> pd.DataFrame:
    """Hourly sales with a price, which is known beforehand, and visits, which are not."""
    random, hour = np.random.default_rng(0), np.arange(hours)
    price = 10 + random.integers(0, 3, hours)
    visits = 50 + 20 * np.sin(2 * np.pi * hour / 24) + random.normal(0, 2, hours)
    sold = (3 * visits - 5 * price + random.normal(0, 3, hours)).round(1)
    time = pd.date_range("2024-01-01", periods=hours, freq="h").strftime("%Y-%m-%d %H:%M")
    return pd.DataFrame({"time": time, "sold": sold, "price": price, "visits": visits.round(2)})
