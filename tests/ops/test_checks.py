"""Tests of the checks at the public edge: what passes, what is bound, and the exact words of each error."""

from array import array
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate.ops import checks


def floats(*shape: int, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    return np.zeros(shape, dtype)


def test_check_returns_the_array_itself() -> None:
    """A good array passes through uncopied."""
    x = floats(5, 4, 3)
    assert checks.check("x", x, "T B I", {}) is x


def test_check_binds_new_letters_and_keeps_the_origin_of_known_ones() -> None:
    """Each letter belongs to the argument that it was first met in."""
    sizes: checks.Sizes = {"I": (3, "w_ih")}
    checks.check("x", floats(5, 4, 3), "T B I", sizes)
    checks.check("h0", floats(4, 7), "B H", sizes)
    assert sizes == {"I": (3, "w_ih"), "T": (5, "x"), "B": (4, "x"), "H": (7, "h0")}


def test_check_accepts_products_of_letters() -> None:
    """An axis of G·H is compared with the product, whether H comes from the same array or from an earlier one."""
    sizes = {"G": (3, "cell 'gru'")}
    checks.check("w_hh", floats(12, 4), "G·H H", sizes)
    checks.check("w_ih", floats(12, 5), "G·H I", sizes)
    letters = {letter: size for letter, size in sizes.items() if len(letter) == 1}
    assert letters == {"G": (3, "cell 'gru'"), "H": (4, "w_hh"), "I": (5, "w_ih")}


def test_check_accepts_empty_axes_and_any_strides() -> None:
    """No steps, no rows and transposed views are all arrays of the right shape."""
    sizes: checks.Sizes = {}
    checks.check("x", floats(0, 0, 3), "T B I", sizes)
    checks.check("w", floats(3, 6)[:, ::2].T, "I I", sizes)
    assert sizes == {"T": (0, "x"), "B": (0, "x"), "I": (3, "x")}


KNOWN = {"T": (7, "x"), "B": (4, "x"), "I": (5, "w_ih"), "H": (64, "w_hh"), "G": (3, "cell 'gru'")}

WRONG_ARRAYS = {
    "a size that another argument fixes": (
        ("h0", floats(3, 64), "B H"),
        ValueError,
        "h0 has shape (3, 64), expected [B, H] = (4, 64): B=4 comes from x, H=64 comes from w_hh",
    ),
    "one axis": (
        ("b_ih", floats(64), "G·H"),
        ValueError,
        "b_ih has shape (64,), expected [G·H] = (192,): G=3 comes from cell 'gru', H=64 comes from w_hh",
    ),
    "a product of sizes": (
        ("w_ih", floats(64, 5), "G·H I"),
        ValueError,
        (
            "w_ih has shape (64, 5), expected [G·H, I] = (192, 5): "
            "G=3 comes from cell 'gru', H=64 comes from w_hh, I=5 comes from w_ih"
        ),
    ),
    "letters that are new stand with the size found": (
        ("data", floats(9, 6), "N I"),
        ValueError,
        "data has shape (9, 6), expected [N, I] = (9, 5): I=5 comes from w_ih",
    ),
    "too few axes": (("x", floats(4, 5), "T B I"), ValueError, "x has shape (4, 5), expected 3 axes [T, B, I]"),
    "float64": (
        ("x", floats(7, 4, 5, dtype=np.float64), "T B I"),
        TypeError,
        "x has dtype float64, expected float32: convert it with x.astype(np.float32)",
    ),
    "foreign byte order": (
        ("x", floats(7, 4, 5, dtype=np.dtype(np.float32).newbyteorder()), "T B I"),
        TypeError,
        f"x has dtype {np.dtype(np.float32).newbyteorder()}, expected float32: convert it with x.astype(np.float32)",
    ),
    "a list": (("h0", [[0.0]], "B H"), TypeError, "h0 is a list, expected a numpy array of float32 [B, H]"),
    "None": (("x", None, "T B I"), TypeError, "x is a NoneType, expected a numpy array of float32 [T, B, I]"),
    "an object of another library": (
        ("x", array("f", [0.0]), "T B I"),
        TypeError,
        "x is a array.array, expected a numpy array of float32 [T, B, I]",
    ),
}


@pytest.mark.parametrize(("arguments", "error", "text"), WRONG_ARRAYS.values(), ids=WRONG_ARRAYS)
def test_check_names_what_it_found_expected_and_why(
    arguments: tuple[str, Any, str], error: type[Exception], text: str
) -> None:
    """An error says the shape or type found, the one expected, and which argument each size comes from."""
    sizes = dict(KNOWN)
    with pytest.raises(error) as raised:
        checks.check(*arguments, sizes)
    assert str(raised.value) == text
    assert sizes == KNOWN, "a failed check binds nothing"


def test_check_output_accepts_a_slice_of_a_wider_array() -> None:
    """Two directions may write side by side into one array."""
    wide = floats(7, 4, 128)
    part = wide[:, :, 64:]
    assert checks.check_output("y", part, "T B H", dict(KNOWN)) is part


def test_check_output_accepts_an_empty_array() -> None:
    """Where there is nothing to write, strides do not matter."""
    checks.check_output("y", floats(0, 4, 9)[::-1, :, ::2], "T B H", {})


def test_check_output_refuses_a_read_only_array() -> None:
    """Results are never written to an array that forbids it."""
    y = floats(7, 4, 64)
    y.flags.writeable = False
    with pytest.raises(ValueError, match=r"^y is read-only, expected a writeable array"):
        checks.check_output("y", y, "T B H", dict(KNOWN))


def test_check_output_refuses_gaps_in_the_last_axis() -> None:
    """Rows that results are written to must be contiguous."""
    with pytest.raises(ValueError, match=r"^y has strides \(2048, 512, 8\) \(bytes\), expected 4 for the last axis"):
        checks.check_output("y", floats(7, 4, 128)[:, :, ::2], "T B H", dict(KNOWN))


def test_check_output_refuses_rows_between_numbers() -> None:
    """The float32 of a record with a byte beside them lie where no float32 array of its own could have them."""
    records = np.zeros((7, 4), [("y", np.float32, (64,)), ("mark", np.uint8)])
    with pytest.raises(ValueError, match=r"^y has strides \(1028, 257, 4\) \(bytes\), expected multiples of 4"):
        checks.check_output("y", records["y"], "T B H", dict(KNOWN))


def test_check_output_checks_the_shape_too() -> None:
    """An output array of the wrong size is refused like any other argument."""
    with pytest.raises(ValueError, match=r"^y has shape \(7, 4, 63\), expected \[T, B, H\] = \(7, 4, 64\)"):
        checks.check_output("y", floats(7, 4, 63), "T B H", dict(KNOWN))


@pytest.mark.parametrize("lengths", [[7, 0, 3, 7], (1, 2, 3, 4), np.array([7, 0, 3, 7], np.int32)[::-1]])
def test_check_lengths_converts_to_contiguous_int64(lengths: Any) -> None:
    """Any integers in 0..T will do, in any order."""
    values = checks.check_lengths(lengths, KNOWN)
    assert values.dtype == np.int64
    assert values.flags.c_contiguous
    assert values.tolist() == list(lengths)


def test_check_lengths_of_no_rows_is_empty() -> None:
    """An empty list of lengths fits an empty batch."""
    assert checks.check_lengths([], KNOWN | {"B": (0, "x")}).shape == (0,)


WRONG_LENGTHS = {
    "too many": ([1] * 5, ValueError, "lengths has shape (5,), expected [B] = (4,): B=4 comes from x"),
    "two axes": ([[1], [1], [1], [1]], ValueError, "lengths has shape (4, 1), expected [B] = (4,): B=4 comes from x"),
    "one number": (3, ValueError, "lengths has shape (), expected [B] = (4,): B=4 comes from x"),
    "beyond T": ([7, 3, 8, 9], ValueError, "lengths[2] is 8, expected 0..7: T=7 comes from x"),
    "negative": ([7, -1, 3, 3], ValueError, "lengths[1] is -1, expected 0..7: T=7 comes from x"),
    "floats": ([1.0, 2.0, 3.0, 4.0], TypeError, "lengths has dtype float64, expected integers"),
    "a mask": ([True, False, True, True], TypeError, "lengths has dtype bool, expected integers"),
}


@pytest.mark.parametrize(("lengths", "error", "text"), WRONG_LENGTHS.values(), ids=WRONG_LENGTHS)
def test_check_lengths_names_the_first_wrong_one(lengths: Any, error: type[Exception], text: str) -> None:
    """A wrong length is named with its place, its value and the range."""
    with pytest.raises(error) as raised:
        checks.check_lengths(lengths, KNOWN)
    assert str(raised.value) == text


def test_check_batch_sizes_binds_steps_and_rows() -> None:
    """A packed sequence has as many steps as batch sizes, and as many rows as the first of them."""
    sizes = {"N": (9, "x")}
    values = checks.check_batch_sizes([4, 4, 1], sizes)
    assert values.dtype == np.int64
    assert values.tolist() == [4, 4, 1]
    assert sizes == {"N": (9, "x"), "T": (3, "batch_sizes"), "B": (4, "batch_sizes")}


def test_check_batch_sizes_accepts_no_steps() -> None:
    """A packed sequence of no steps has no rows."""
    sizes = {"N": (0, "x")}
    checks.check_batch_sizes([], sizes)
    assert sizes["T"][0] == sizes["B"][0] == 0


WRONG_BATCH_SIZES = {
    "sum": ([4, 4, 2], ValueError, "batch_sizes sums to 10, expected N = 9: N=9 comes from x"),
    "increasing": (
        [3, 2, 4],
        ValueError,
        (
            "batch_sizes[2] is 4 after 2, expected non-increasing sizes: "
            "the rows of a packed sequence are sorted by length"
        ),
    ),
    "negative": ([5, 5, -1], ValueError, "batch_sizes[2] is -1, expected 0 or more"),
    "two axes": ([[4], [4], [1]], ValueError, "batch_sizes has shape (3, 1), expected 1 axis [T]"),
    "floats": ([4.0, 4.0, 1.0], TypeError, "batch_sizes has dtype float64, expected integers"),
}


@pytest.mark.parametrize(("batch_sizes", "error", "text"), WRONG_BATCH_SIZES.values(), ids=WRONG_BATCH_SIZES)
def test_check_batch_sizes_names_what_is_wrong(batch_sizes: Any, error: type[Exception], text: str) -> None:
    """Batch sizes that describe no packed sequence are refused with the reason."""
    sizes = {"N": (9, "x")}
    with pytest.raises(error) as raised:
        checks.check_batch_sizes(batch_sizes, sizes)
    assert str(raised.value) == text
    assert sizes == {"N": (9, "x")}, "a failed check binds nothing"


def test_check_choice_lists_the_choices() -> None:
    """A word that is none of the choices is shown beside all of them."""
    checks.check_choice("cell", "gru", ("gru", "rnn_tanh"))
    with pytest.raises(ValueError, match=r"^cell is 'lstm', expected one of 'gru', 'rnn_tanh'$"):
        checks.check_choice("cell", "lstm", ("gru", "rnn_tanh"))


def test_check_choice_shows_the_start_of_what_is_long() -> None:
    """A whole file, given by mistake, does not fill the screen."""
    with pytest.raises(ValueError, match=r"^cell is 'x{59}, expected one of 'gru'$"):
        checks.check_choice("cell", "x" * 100_000, ("gru",))
