import numpy as np

from rbcore.charts.rendering import magnification, perturbation_picture, rounded, strip, to_uint8


def test_the_largest_change_is_shown_as_black_or_white():
    clean = np.full((1, 2, 2), 0.5, np.float32)
    perturbed = clean + np.array([[[0.1, -0.2], [0.0, 0.05]]], np.float32)
    np.testing.assert_allclose(
        perturbation_picture(clean, perturbed), [[[0.75, 0.0], [0.5, 0.625]]], atol=1e-6
    )
    assert round(magnification(clean, perturbed), 4) == 2.5
    assert magnification(clean, clean) == 1


def test_pixels_are_enlarged_as_squares_and_gray_becomes_rgb():
    image = np.array([[[0.0, 1.0], [0.5, 2.0]]])
    picture = to_uint8(image, side=4)
    assert picture.shape == (4, 4, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[::2, ::2, 0], [[0, 255], [128, 255]])
    np.testing.assert_array_equal(picture[0, :, 0], [0, 0, 255, 255])


def test_a_strip_shows_three_panels():
    clean = np.random.default_rng(0).uniform(size=(3, 8, 8))
    picture = strip(clean, clean, side=16)
    assert picture.shape == (16, 3 * 16 + 2 * 6, 3)
    np.testing.assert_array_equal(picture[:, :16], picture[:, -16:])


def test_an_8_bit_file_holds_the_nearest_of_256_levels():
    np.testing.assert_allclose(
        rounded(np.array([0.5, -1.0, 2.0, 0.3 / 255])), [128 / 255, 0, 1, 0], rtol=1e-6
    )
    assert rounded(np.zeros(1)).dtype == np.float32
