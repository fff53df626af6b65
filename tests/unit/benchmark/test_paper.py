import pytest

import models
from benchmark.method import METHODS
from benchmark.metrics import METRICS
from benchmark.tables.paper import PRINTED, Printed


def test_every_method_and_metric_is_one_of_ours():
    assert set(PRINTED) == set(METHODS) - {"syn", "syn-tuned"}
    assert {metric for numbers in PRINTED.values() for metric in numbers} <= set(METRICS)


def test_numbers_are_read_as_printed():
    assert PRINTED["mambamorph"]["hd95"] == Printed(2.00, 0.22)
    assert PRINTED["transmorph-features"] == {
        "dice": Printed(80.60, 1.44),
        "seconds": Printed(0.27, None),
        "memory": Printed(8.34, None),
        "parameters": Printed(14.57, None),
    }
    assert set(PRINTED["initial"]) == {"dice", "hd95"}


@pytest.mark.parametrize("method", [method for method, numbers in PRINTED.items() if "parameters" in numbers])
def test_printed_parameters_are_those_of_our_networks(method):
    parameters = sum(parameter.numel() for parameter in models.create(method).parameters())
    assert PRINTED[method]["parameters"].mean == round(parameters / 1e6, 2)
