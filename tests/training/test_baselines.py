from __future__ import annotations

import numpy as np
import pytest
import torch

from metarl_cli.training.baselines import linear_features, ridge_predictions, ridge_weights, time_features

M, N, T, F = 2, 5, 8, 3


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mask():
    lengths = torch.tensor([[8, 4, 1, 8, 6], [8, 8, 8, 8, 2]])
    return (torch.arange(T) < lengths[..., None]).double()


def least_squares(features, targets, ridge):
    """Ridge regression as ordinary least squares with √λ·I for more rows."""
    rows = np.concatenate([features, np.sqrt(ridge) * np.eye(features.shape[1])])
    return np.linalg.lstsq(rows, np.concatenate([targets, np.zeros(features.shape[1])]), rcond=None)[0]


def test_weights_and_predictions_against_numpy():
    features, targets = draw(M, N, T, F), draw(M, N, T, seed=1)
    weights, predictions = ridge_weights(features, targets, mask()), ridge_predictions(features, targets, mask())
    for m in range(M):
        alive = mask()[m].bool()
        expected = least_squares(features[m][alive].numpy(), targets[m][alive].numpy(), 1e-5)
        np.testing.assert_allclose(weights[m, :, 0], expected, rtol=1e-9)
        np.testing.assert_allclose(predictions[m][alive], features[m][alive].numpy() @ expected, rtol=1e-8, atol=1e-12)
        assert not predictions[m][~alive].any()


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_the_ridge_is_1e_5(scale):
    """Scaled features make the ridge visible: with λ = 0 the predictions would not change."""
    features, targets = scale * draw(1, N, T, F), draw(1, N, T, seed=1)
    predictions = ridge_predictions(features, targets, torch.ones(1, N, T))
    flat = features.reshape(-1, F).numpy()
    for ridge, equal in ((1e-5, True), (1e-4, False), (0.0, False)):
        expected = flat @ least_squares(flat, targets.flatten().numpy(), ridge)
        assert np.allclose(predictions.flatten(), expected, rtol=1e-9, atol=1e-11) == equal


def test_what_is_in_the_features_is_predicted_exactly():
    features = linear_features(draw(M, N, T, F))
    targets = features @ draw(features.shape[-1], seed=3)
    torch.testing.assert_close(ridge_predictions(features, targets, mask()), targets * mask(), rtol=1e-3, atol=1e-3)


def test_masked_steps_are_not_looked_at():
    features, targets = draw(M, N, T, F), draw(M, N, T, seed=1)
    hidden = 1 - mask()
    noisy = ridge_predictions(
        features + 1e3 * hidden[..., None] * draw(M, N, T, F, seed=4), targets + 1e3 * hidden, mask()
    )
    torch.testing.assert_close(noisy, ridge_predictions(features, targets, mask()), rtol=1e-9, atol=1e-12)


def test_tasks_do_not_see_each_other():
    features, targets = draw(M, N, T, F), draw(M, N, T, seed=1)
    both = ridge_predictions(features, targets, mask())
    alone = ridge_predictions(features[1:], targets[1:], mask()[1:])
    torch.testing.assert_close(both[1:], alone, rtol=1e-10, atol=1e-13)


def test_features_by_hand():
    observations = torch.tensor([[2.0, -30.0], [0.5, 10.5]])
    expected = [[2.0, -10.0, 4.0, 100.0, 0.0, 0.0, 0.0, 1.0], [0.5, 10.0, 0.25, 100.0, 0.01, 1e-4, 1e-6, 1.0]]
    features = linear_features(observations)
    assert features.dtype == torch.float64
    torch.testing.assert_close(features, torch.tensor(expected, dtype=torch.float64))


def test_time_features_are_the_same_for_every_trajectory():
    features = time_features(torch.zeros(M, N, T))
    assert features.shape == (M, N, T, 4)
    assert torch.equal(features[0, 0], features[1, 4])
    torch.testing.assert_close(features[0, 0, :, 0], torch.arange(T, dtype=torch.float64) / 100)


def test_predictions_have_the_type_of_the_targets():
    features, targets = draw(M, N, T, F), draw(M, N, T, seed=1)
    assert ridge_predictions(features, targets.float(), mask().float()).dtype == torch.float32
