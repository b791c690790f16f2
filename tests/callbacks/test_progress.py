import logging

from callbacks.runs import Scale, sounds, trainer

from drumblender.callbacks import TimeEstimate


def test_the_time_of_a_training_is_told_once_after_its_first_steps(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "drumblender"):
        trainer(tmp_path, TimeEstimate(warm_up=1, steps=2), max_epochs=4).fit(Scale(), sounds())
    told = [line for line in caplog.messages if "of training" in line]
    assert len(told) == 1 and "9 batches" in told[0]


def test_a_training_without_end_has_no_estimate(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "drumblender"):
        run = trainer(tmp_path, TimeEstimate(1, 1), max_epochs=-1, max_time={"seconds": 1})
        run.fit(Scale(), sounds())
    assert not [line for line in caplog.messages if "of training" in line]
