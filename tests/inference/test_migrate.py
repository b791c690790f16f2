import yaml

from drumblender.inference.migrate import is_lightning_1, migrate_config


def old_config(**trainer):
    return {"trainer": {"gpus": None, "amp_backend": None, "strategy": None, "max_epochs": 3, **trainer}}


def test_every_key_that_lightning_2_refuses_is_dropped(golden):
    case = golden("drums", "config_migration")
    old = yaml.safe_load(str(case["in_yaml"]))
    assert is_lightning_1(old)
    for has_wandb, key in ((True, "out_removed_keys"), (False, "out_removed_keys_no_wandb")):
        new, removed = migrate_config(old, has_wandb=has_wandb)
        assert set(removed) == set(case[key].tolist())
        assert not is_lightning_1(new)
        assert "pytorch_lightning." not in yaml.safe_dump(new)


def test_settings_that_moved_are_carried_over():
    new, removed = migrate_config(
        old_config(gpus=2, replace_sampler_ddp=False, resume_from_checkpoint="a.ckpt", auto_lr_find=True)
    )
    assert new["trainer"]["devices"] == 2 and new["trainer"]["accelerator"] == "gpu"
    assert new["trainer"]["use_distributed_sampler"] is False
    assert new["ckpt_path"] == "a.ckpt"
    assert new["trainer"]["callbacks"] == [{"class_path": "lightning.pytorch.callbacks.LearningRateFinder"}]
    assert "trainer.strategy" in removed and new["trainer"]["max_epochs"] == 3


def test_the_old_configuration_is_left_alone():
    old = old_config()
    migrate_config(old)
    assert old == old_config()


def test_a_new_configuration_is_not_taken_for_an_old_one():
    assert not is_lightning_1({"trainer": {"max_epochs": 3, "strategy": "auto"}})
