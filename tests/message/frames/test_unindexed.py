import pandas as pd
import pytest

import fireworks as fw
from fireworks.message.frames.unindexed import REFUSED, why_not


@pytest.mark.parametrize("name", REFUSED)
def test_each_refusal_is_of_a_real_attribute_and_says_what_to_write(name):
    assert hasattr(pd.DataFrame, name) or name == "attrs"
    message = fw.Message({"x": [1]})
    assert not hasattr(message, name)
    with pytest.raises(AttributeError) as caught:
        getattr(message, name)
    text = str(caught.value)
    assert text == f"'Message' object has no attribute {name!r}. {why_not(name)}"
    assert text.endswith(".")
    assert "{" not in text.replace("{'", "")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("index", "range(len(message))"),
        ("set_index", "message.to_pandas().set_index(…)"),
        ("sort_index", "message.sort_values('x')"),
        ("reindex", "message.take([…])"),
        ("asfreq", "message.resample(…, on='time')"),
        ("between_time", ".set_index('time').between_time(…)"),
        ("tz_localize", "message['time'].dt.tz_localize(…)"),
        ("to_pickle", "message.save(path)"),
        ("to_hdf", "message.save(path)"),
        ("isetitem", "message[name] = …"),
        ("attrs", "put it into a column"),
        ("from_records", "fw.Message(…)"),
    ],
)
def test_the_hints(name, hint):
    assert hint in why_not(name)
