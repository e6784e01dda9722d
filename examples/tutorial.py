# %% [markdown]
# # From an estimator to a figure
#
# An estimator of your own, checked against the exact answer; a training run with one of the papers'; the policy that
# it gives; and the figure. A quarter of a minute on one core. Run it as a script, or cell by cell in an editor.

# %% An estimator is a function of log π_θ(aₜ|sₜ), [..., N, T], and of data.
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import metarl_cli as metarl


def half_lvc(logp: Tensor, sample: metarl.Sample) -> Tensor:
    """Σₜ γᵗ ½ (ρₜ² − 1) Aₜ: the gradient of LVC on-policy, another Hessian."""
    ratio = (logp - sample.behaviour_logp).exp()
    weights = sample.discount ** torch.arange(logp.shape[-1], dtype=logp.dtype)
    return (weights * 0.5 * (ratio**2 - 1.0) * sample.advantages).sum(-1).mean(-1)


# %% Is it right? Every trajectory of a small MDP is enumerated: no sample, no error bar.
problem = metarl.exact.parse_problem(metarl.exact.EXAMPLE)
for name, surrogate in {"half_lvc": half_lvc, "lvc": metarl.lvc, "dice": metarl.dice}.items():
    gradient, hessian = metarl.exact.bias(surrogate, problem)
    print(f"{name:9} ‖bias‖ of the gradient {gradient.norm():.1e}, of the Hessian {hessian.norm():.1e}")

assert metarl.exact.bias(half_lvc, problem).gradient.abs().max() < 1e-12
assert metarl.exact.bias(half_lvc, problem).hessian.abs().max() > 0.1  # the gradient is exact, the second order is not

# %% Train: as `metarl train --algo promp --env Navigation --profile quick --out tutorial/promp --overwrite` does, with
# `--set` for each of the settings.
from metarl_cli.runs.launch import RunRequest, launch  # noqa: E402

run = Path("tutorial/promp")
settings = ("iterations=20", "sampling.tasks=10", "sampling.trajectories=10", "sampling.horizon=50")
request = RunRequest(algorithm="promp", environment="Navigation", profile="quick", overrides=settings)
print(launch(request, out=run, threads=1, resume=False, overwrite=True).message)

progress = metarl.read_runs(run)
print(progress[["iteration", "return/pre", "return/post"]].tail(3).to_string(index=False))

# %% The policy that it gave, on a task that it has not seen: sample, adapt, sample again.
policy = metarl.load_policy(run)
(task,) = metarl.make_vec("Navigation", num_envs=1).sample_tasks(1, np.random.default_rng(7))
before = policy.collect(task, seed=1)
adapted = policy.adapt(before)
after = adapted.collect(task, seed=1)
print(f"goal {task.round(2)}: return {before.rewards.sum(-1).mean():.1f}, adapted {after.rewards.sum(-1).mean():.1f}")
print(f"at the origin it walks {policy.act(np.zeros(2)).round(3)}, adapted {adapted.act(np.zeros(2)).round(3)}")

# %% The figure: the same as `metarl plot adaptation --results tutorial --out tutorial`.
from metarl_cli.figures.draw import plot  # noqa: E402
from metarl_cli.papers import find_figure  # noqa: E402
from metarl_cli.results import Results  # noqa: E402

for path in plot(find_figure("adaptation"), results=Results(Path("tutorial")), out=Path("tutorial")):
    print(path)
