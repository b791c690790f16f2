"""Transforms of rows: the same numbers from MKL and from scipy, and the threads of MKL left as they were."""

import numpy as np
import pytest
import scipy.fft
import torch

from drumblender.dsp.kernels import transforms


@pytest.fixture(params=["as torch has it", "scipy"])
def library(request, monkeypatch):
    if request.param == "scipy":
        monkeypatch.setattr(transforms, "_threads_of_mkl", lambda: None)
    return request.param


@pytest.mark.parametrize("size", [2, 256, 600, 1500])
def test_they_are_those_of_scipy(library, size):
    draw = np.random.default_rng(size)
    rows = draw.standard_normal((5, size)).astype(np.float32)
    spectra = scipy.fft.rfft(rows)
    pairs = [
        (transforms.rfft(rows), spectra),
        (transforms.irfft(spectra, size), rows),
        (transforms.irfft(spectra, size, norm="forward"), rows * size),
    ]
    for found, expected in pairs:
        assert found.dtype == expected.dtype and found.shape == expected.shape
        assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


def test_what_is_given_stays_as_it_was(library):
    rows = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    spectra = scipy.fft.rfft(rows)
    given = rows.copy(), spectra.copy()
    transforms.rfft(rows), transforms.irfft(spectra, 64)
    assert np.array_equal(rows, given[0]) and np.array_equal(spectra, given[1])


def test_a_row_is_the_same_alone_and_among_others(library):
    rows = np.random.default_rng(0).standard_normal((33, 512)).astype(np.float32)
    together = transforms.rfft(rows)
    assert np.array_equal(transforms.rfft(rows[32:].copy()), together[32:])
    assert np.array_equal(transforms.irfft(together[:1].copy(), 512), transforms.irfft(together, 512)[:1])


@pytest.mark.skipif(transforms._threads_of_mkl() is None, reason="torch's transforms are not those of MKL")
def test_the_threads_of_mkl_are_as_before_even_where_it_fails():
    set_threads = transforms._threads_of_mkl()
    before = set_threads(2)
    try:
        transforms.rfft(np.zeros((2, 8), np.float32))
        with pytest.raises(RuntimeError):
            transforms.irfft(np.zeros((1, 5), np.complex64), 0)
        assert set_threads(2) == 2
    finally:
        set_threads(before)


def test_where_the_library_is_hidden_scipy_is_taken(monkeypatch):
    monkeypatch.setattr(transforms.ctypes, "CDLL", lambda path: torch)  # which has no such function
    transforms._threads_of_mkl.cache_clear()
    assert transforms._threads_of_mkl() is None
    transforms._threads_of_mkl.cache_clear()
