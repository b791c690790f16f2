"""The published search for a string, number for number."""

import torch

from drumblender.losses.spectral import MultiResolutionSTFTLoss
from drumblender.matching.match import match
from drumblender.matching.objective import Objective
from drumblender.matching.space import SearchSpace
from drumblender.synths.string import StringSynth


def published_string(config):
    return StringSynth(
        sample_rate=config["init"]["sample_rate"],
        internal_rate=config["synth"]["internal_sr"],
        min_f0_hz=config["synth"]["min_f0_hz"],
    )


def published_loss(case):
    return MultiResolutionSTFTLoss(**case.parameters["loss"], sample_rate=case.config["init"]["sample_rate"])


def as_controls(loop, gain, excitation):
    """Raw values of the original, where the gain of the excitation is its first column."""
    logits = {
        "loop_taps": loop,
        "loop_gain": gain,
        "excitation_taps": excitation[..., 1:],
        "excitation_gain": excitation[..., :1],
    }
    return {name: value.float().sigmoid() for name, value in logits.items()}


def test_gradient_search_takes_the_published_steps(golden):
    case = golden("strings", "gradient_search")
    raw = case["in_loop_coefficients"], case["in_loop_gain"], case["in_exc_coefficients"]
    target = case["in_target"][0]
    f0_hz = case["in_f0_frames"][..., None]
    found = match(
        target,
        published_string(case.config),
        published_loss(case),
        "gradient",
        renders=case.config["init"]["max_steps"],
        restarts=1,
        patience=case.config["init"]["patience"],
        fixed={"f0_hz": f0_hz},
        init={"f0_hz": f0_hz, **as_controls(*raw)},
        source=target,
        match_level=False,
    )
    losses = torch.tensor([row.loss for row in found.history])
    case.check("out_losses", losses)
    case.check("out_best", found.loss)
    case.check("out_best_audio", found.audio[None])


def test_fitness_of_a_population_is_the_published_one(golden):
    case = golden("strings", "genetic_fitness")
    population, target = case["in_population"], case["in_target"][0]
    said = case.config["synth"]
    sizes = [said["loop_order"] + 1, 1, said["exc_order"] + 1]
    frames = [said["loop_n_frames"], said["loop_n_frames"], said["exc_n_frames"]]
    genes = population.split([size * count for size, count in zip(sizes, frames, strict=True)], dim=1)
    loop, gain, excitation = (part.unflatten(1, (-1, size)) for part, size in zip(genes, sizes, strict=True))
    synth = published_string(case.config)
    space = SearchSpace(synth, fixed={"f0_hz": case["in_f0_frames"][..., None]})
    objective = Objective(target, synth, published_loss(case), space, source=target)
    fitness = -objective(as_controls(loop, gain, excitation))
    case.check("out_fitness", fitness)
